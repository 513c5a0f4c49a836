import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { SyncPolicy } from './disk.ts';
import { listSegmentFiles, readBootId } from './files.ts';
import type { Intents } from './intents.ts';
import type { Journal } from './journal.ts';
import type { SerialQueue } from './lane.ts';
import type { Outbox } from './outbox.ts';
import { type Recovered, recoverSegments } from './recovery.ts';
import { newSegment, type SpoolSegment } from './segment.ts';
import type { SpoolState } from './spool-state.ts';
import type { DurableState } from './state.ts';

export interface StartupOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly sync: SyncPolicy;
  /** The node's boot; read from the system when omitted. */
  readonly bootId?: string;
  readonly chores: SerialQueue;
  onError(error: unknown): void;
}

export interface StartupParts {
  readonly notes: SpoolState;
  readonly journal: Journal;
  readonly intents: Intents;
  readonly outbox: Outbox;
}

/** Whether the events that earlier processes left are known. */
export type Leftovers = 'unknown' | 'reading' | 'read';

type Phase = 'closed' | 'opening' | 'open' | 'recovering' | 'recovered';

const LEFTOVERS: Readonly<Record<Phase, Leftovers>> = {
  ...{ closed: 'unknown', opening: 'unknown' },
  ...{ open: 'reading', recovering: 'reading' },
  recovered: 'read',
};

/** Under policy `interval`, anything written this long before the node went down is on its disk. */
const SYNC_LAG_MS = 5000;

/** The way of a spool's directory into use: opened, and then searched for what earlier processes left. */
export class Startup {
  private readonly options: StartupOptions;
  private readonly openedTime: number;
  private boot = 'unknown';
  private phase: Phase = 'closed';
  private previous: DurableState | undefined;
  /** What earlier processes left in the directory. */
  private left: readonly SpoolSegment[] = [];

  constructor(options: StartupOptions) {
    this.options = options;
    this.openedTime = options.clock.now();
  }

  /** The node's boot; known once the directory is open. */
  get bootId(): string {
    return this.boot;
  }

  get leftovers(): Leftovers {
    return LEFTOVERS[this.phase];
  }

  /** Makes the directory usable. Never rejects: while it is not, a gap is open. */
  async open({ notes, journal }: StartupParts): Promise<void> {
    const { clock, onError } = this.options;
    if (this.phase !== 'closed') return;
    this.phase = 'opening';
    try {
      await this.openDirectory(notes);
      journal.start(this.left);
      notes.gaps.close('spoolFailing', clock.now());
      this.phase = 'open';
    } catch (error) {
      this.phase = 'closed';
      notes.gaps.open('spoolFailing', this.openedTime);
      onError(error);
    }
  }

  private async openDirectory(notes: SpoolState): Promise<void> {
    const { directory, clock, chores } = this.options;
    const found = await chores.run(() => listSegmentFiles(directory));
    this.boot = this.options.bootId ?? (await chores.run(readBootId));
    this.previous = await notes.open(directory, this.boot);
    this.left = found.map((name) => ({ ...newSegment(name, clock.now()), sealedTime: clock.now() }));
  }

  /** Publishes what earlier processes left in the directory. */
  async recover({ notes, intents, outbox }: StartupParts): Promise<void> {
    if (this.phase !== 'open') return;
    this.phase = 'recovering';
    const { directory, clock, chores, sync } = this.options;
    const { left, previous } = this;
    const recovered = await chores.run(() => recoverSegments(directory, left, this.boot, clock.now()));
    for (const { from, until } of recovered.damaged) notes.gaps.mark('spoolLost', from, until);
    if (sync !== 'commit' && (recovered.rebooted || isOtherBoot(previous, this.boot))) {
      notes.gaps.mark('spoolLost', unsyncedSince(sync, recovered, previous), this.openedTime);
    }
    intents.markDoubts(recovered.unfinished);
    await notes.save();
    intents.adopt(recovered.unfinished);
    this.phase = 'recovered';
    if (left.length > 0) outbox.rewind();
  }
}

function isOtherBoot(previous: DurableState | undefined, bootId: string): boolean {
  return previous !== undefined && previous.bootId !== bootId;
}

/** From when on records may be missing because the node went down before they were forced to its disk. */
function unsyncedSince(sync: SyncPolicy, recovered: Recovered, previous: DurableState | undefined): number {
  const opened = previous?.openedTime ?? 0;
  if (sync === 'none' || recovered.lastTime === undefined) return opened;
  return recovered.lastTime - SYNC_LAG_MS;
}

import type { Journal } from './journal.ts';
import type { Outbox } from './outbox.ts';
import type { SpoolSegment } from './segment.ts';
import type { Shares } from './shares.ts';
import type { SpoolState } from './spool-state.ts';
import type { Trust } from './trust.ts';

export interface RemovalOptions {
  journal: Pick<Journal, 'segments' | 'flush' | 'remove'>;
  outbox: Pick<Outbox, 'isSettled'>;
  notes: Pick<SpoolState, 'settled'>;
  shares: Pick<Shares, 'giveBack'>;
  trust: Pick<Trust, 'isTrusted' | 'total'>;
  safetyMs: number;
  /** Until they are read, segments of earlier processes look as if nothing in them were needed. */
  isRecovered(): boolean;
}

/** Removes segments that no restart and no rewind needs any more, one check at a time. */
export class Removal {
  private readonly options: RemovalOptions;
  private removing: Promise<void> | undefined;
  private isDue = false;

  constructor(options: RemovalOptions) {
    this.options = options;
  }

  /** Resolves when everything that is settled now is gone. */
  run(): Promise<void> {
    this.isDue = true;
    this.removing ??= this.removeWhileDue().finally(() => {
      this.removing = undefined;
    });
    return this.removing;
  }

  private async removeWhileDue(): Promise<void> {
    while (this.isDue) {
      this.isDue = false;
      await this.removeAll();
    }
  }

  private async removeAll(): Promise<void> {
    const { journal, notes, shares, isRecovered } = this.options;
    if (!isRecovered()) return;
    const until = this.trustedUntil();
    // The events of a request must be in their file before its intent goes.
    if (!(await journal.flush())) return;
    for (const segment of journal.segments.filter((one) => this.isSettled(one, until))) {
      notes.settled(segment);
      for (const [owner, held] of segment.held) shares.giveBack(owner, held);
      await journal.remove(segment);
    }
  }

  /** Events acknowledged by then, in trusted time of the stream, may go. */
  private trustedUntil(): number {
    const { trust, safetyMs } = this.options;
    return trust.isTrusted() ? trust.total() - safetyMs : Number.NEGATIVE_INFINITY;
  }

  private isSettled(segment: SpoolSegment, until: number): boolean {
    if (segment.sealedTime === undefined || segment.unfinished > 0) return false;
    if (segment.kind === 'intents') return true;
    return (segment.events === 0 || segment.lastAckTrust <= until) && this.options.outbox.isSettled(segment);
  }
}

import { randomBytes } from 'node:crypto';

import type { Clock } from '@edge-migration/runtime/clock.ts';

import { createGapRecorder, type GapRecorder } from './gaps.ts';
import type { SerialQueue } from './lane.ts';
import type { SpoolSegment } from './segment.ts';
import { type DurableState, openStateFile, type StateFile } from './state.ts';

/** The spool's memory besides its segments: gaps, and which stream has the events that it no longer keeps. */
export interface SpoolState {
  readonly gaps: GapRecorder;
  /** Identifies the directory's content, across processes; undefined until it is opened. */
  readonly spoolId: string | undefined;
  /**
   * Takes over earlier processes' notes; from now on notes are kept on disk. Returns the earlier notes.
   *
   * @throws when the directory is not usable
   */
  open(directory: string, bootId: string): Promise<DurableState | undefined>;
  /** A segment is removed: its events now depend on the stream alone. */
  settled(segment: SpoolSegment): void;
  observeStream(createdTime: string): void;
  observeLoss(sequence: number): void;
  /** Saves what changed since the last time, if anything did. */
  save(): Promise<void>;
  isSaved(): boolean;
  close(): Promise<void>;
}

export function createSpoolState(clock: Clock, chores: SerialQueue, onError: (error: unknown) => void): SpoolState {
  let file: StateFile | undefined;
  let state: DurableState = { bootId: 'unknown', openedTime: clock.now(), gaps: [], stream: null };
  let unsaved = false;
  let saving: Promise<void> | undefined;

  const gaps = createGapRecorder((urgent) => {
    unsaved = true;
    if (urgent) void save();
  });

  function save(): Promise<void> {
    saving ??= saveAll().finally(() => {
      saving = undefined;
    });
    return saving;
  }

  async function saveAll(): Promise<void> {
    while (file !== undefined && unsaved) {
      unsaved = false;
      state = { ...state, gaps: gaps.list() };
      const saved = file.save.bind(file, state);
      await chores.run(saved).catch(onError);
    }
  }

  function markLost(): void {
    if (state.stream === null || state.stream.settledTime === 0) return;
    gaps.mark('streamLost', state.stream.sinceTime, state.stream.settledTime);
  }

  return {
    gaps,
    get spoolId() {
      return file && state.spoolId;
    },
    async open(directory, bootId) {
      file = await chores.run(() => openStateFile(directory));
      const { loaded } = file;
      gaps.restore(loaded?.gaps ?? [], clock.now());
      const spoolId = loaded?.spoolId ?? randomBytes(12).toString('base64url');
      state = { ...state, bootId, spoolId, stream: loaded?.stream ?? null };
      unsaved = true;
      await save();
      return loaded;
    },
    settled(segment) {
      if (state.stream === null || segment.events === 0) return;
      const settledTime = Math.max(state.stream.settledTime, segment.lastAckTime);
      const settledSequence = Math.max(state.stream.settledSequence, segment.sequence);
      state.stream = { ...state.stream, settledTime, settledSequence };
      unsaved = true;
    },
    observeStream(createdTime) {
      if (state.stream?.createdTime === createdTime) return;
      markLost();
      state.stream = { createdTime, sinceTime: clock.now(), settledTime: 0, settledSequence: 0 };
      unsaved = true;
    },
    observeLoss(sequence) {
      if (sequence <= (state.stream?.settledSequence ?? 0)) markLost();
    },
    save,
    isSaved: () => !unsaved && saving === undefined,
    async close() {
      await save();
      await file?.close();
      file = undefined;
    },
  };
}

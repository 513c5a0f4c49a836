import type { FileHandle } from 'node:fs/promises';

/** A segment file and the state of its records. The journal keeps the first half, the spool the second. */
export interface SpoolSegment {
  readonly number: number;
  /**
   * `intents`: for requests under way, and marks of those that changed nothing; removed as soon as all have ended.
   * `events`: to be published; stays until the stream is trusted to have it.
   */
  readonly kind: 'intents' | 'events';
  readonly createdTime: number;
  /** Bytes given to {@link Journal.append}; the first `written` of them are in the file. */
  appended: number;
  written: number;
  /** Set once nothing will be appended any more. */
  sealedTime: number | undefined;
  file: FileHandle | undefined;

  /** Bytes in it were found damaged, and a gap reports them. */
  damaged: boolean;

  /** Intents without events; the segment stays while there are any. */
  unfinished: number;
  /** Events in here, and how many of them the stream acknowledged since they were last given out from the start. */
  events: number;
  acknowledged: number;
  /** Events given out (or queued in memory) and not acknowledged. */
  outstanding: number;
  lastAckTime: number;
  /** {@link Trust.total} at the last acknowledgement. */
  lastAckTrust: number;
  /** The highest sequence number that the stream gave to one of its events. */
  sequence: number;
  /** Bytes of its events, by owner; see {@link Shares}. */
  readonly held: Map<string, number>;
  /** When the oldest request of any record in here began. */
  firstTime: number;
}

/** Where a record is, or where reading continues. */
export interface SegmentPosition {
  readonly segment: SpoolSegment;
  readonly offset: number;
}

export function newSegment({ number, kind }: Pick<SpoolSegment, 'number' | 'kind'>, createdTime: number): SpoolSegment {
  return {
    number,
    kind,
    createdTime,
    appended: 0,
    written: 0,
    sealedTime: undefined,
    file: undefined,
    damaged: false,
    unfinished: 0,
    events: 0,
    acknowledged: 0,
    outstanding: 0,
    lastAckTime: 0,
    lastAckTrust: 0,
    sequence: 0,
    held: new Map(),
    firstTime: Infinity,
  };
}

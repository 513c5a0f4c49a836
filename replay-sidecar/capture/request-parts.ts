import type { RequestEvents } from './reads.ts';
import { takeTurn } from './routes/http/turns.ts';
import { type ReadRequest, UNREADABLE, type Uncovered } from './routes/plan.ts';
import type { DraftEvent } from './spool/draft.ts';

/** A request, or a part of a long one, and its events. */
interface RequestPart {
  /** The parts that are needed after the beginning. */
  readonly read: ReadRequest;
  readonly events: RequestEvents;
}

/** What one request may change on its way into the spool; nearly always in one part. */
export interface RequestParts {
  /** Notes down what the request may touch, part by part; undefined when there is nothing to wait for. */
  begin(reading: ReadRequest | Promise<readonly ReadRequest[]>): Promise<void> | undefined;
  /** Ends each part that was begun, at once or as soon as it has begun. */
  finish(end: (part: RequestPart) => void): void;
}

/** What a request may touch, and the parts of it that are needed until its end. */
export interface Noted {
  readonly drafts: readonly DraftEvent[];
  readonly uncovered: Uncovered | undefined;
  readonly left: ReadRequest;
}

/** Ending a part is cheap: it joins what is already written out. */
const ENDED_AT_ONCE = 8;

/**
 * @param open events of a part; `uncovered` is a gap if the process ends before the part
 * @param unread what the request may change while its parts are unknown
 */
export function createRequestParts(
  open: (uncovered: Uncovered | undefined) => RequestEvents,
  note: (read: ReadRequest) => Noted,
  unread: Uncovered,
): RequestParts {
  /** Begun and not ended. */
  const parts: RequestPart[] = [];
  let beginning: Promise<void> | undefined;
  let ending: ((part: RequestPart) => void) | undefined;

  function begin(read: ReadRequest): Promise<void> | undefined {
    const { drafts, uncovered, left } = note(read);
    const part = { read: left, events: open(uncovered) };
    parts.push(part);
    return part.events.begin(drafts);
  }

  async function beginAll(reading: Promise<readonly ReadRequest[]>): Promise<void> {
    // The request goes on when this takes long: until its parts are noted down, no report may say that all is sent.
    const whole = open(unread);
    const begun = [whole.begin([])];
    try {
      for (const read of await reading) {
        await takeTurn();
        begun.push(begin(read));
        endSome();
      }
      await Promise.all(begun);
    } catch (error) {
      parts.push({ read: UNREADABLE, events: open(unread) });
      endSome();
      throw error;
    } finally {
      whole.finish([], 'known');
    }
  }

  /** Parts that end early no longer take memory. */
  function endSome(): void {
    if (ending !== undefined) parts.splice(0, ENDED_AT_ONCE).forEach(ending);
  }

  async function endAll(): Promise<void> {
    while (parts.length > 0) {
      await takeTurn();
      endSome();
    }
  }

  return {
    begin(reading) {
      if (!(reading instanceof Promise)) return begin(reading);
      beginning = beginAll(reading);
      return beginning;
    },
    finish(end) {
      ending = end;
      if (beginning === undefined) endSome();
      else void endAll();
    },
  };
}

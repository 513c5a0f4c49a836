import type { RequestEvents } from './reads.ts';
import { takeTurn } from './routes/http/turns.ts';
import { type ReadRequest, UNREADABLE } from './routes/plan.ts';
import type { DraftEvent } from './spool/draft.ts';

/** A request, or a part of a long one, and its events. */
export interface RequestPart {
  readonly read: ReadRequest;
  readonly events: RequestEvents;
}

/** What one request may change on its way into the spool; nearly always in one part. */
export interface RequestParts {
  /** Notes down what the request may touch, part by part; undefined when there is nothing to wait for. */
  begin(reading: ReadRequest | Promise<readonly ReadRequest[]>): Promise<void> | undefined;
  /** Ends each part that was begun, at once or as soon as it is. */
  finish(end: (part: RequestPart) => void): void;
}

export function createRequestParts(
  open: () => RequestEvents,
  draftsOf: (read: ReadRequest) => readonly DraftEvent[],
): RequestParts {
  const parts: RequestPart[] = [];
  let beginning: Promise<void> | undefined;

  function begin(read: ReadRequest): Promise<void> | undefined {
    const part = { read, events: open() };
    parts.push(part);
    return part.events.begin(draftsOf(read));
  }

  async function beginAll(reading: Promise<readonly ReadRequest[]>): Promise<void> {
    // The request goes on when this takes long: until its parts are noted down, nothing may say that all is sent.
    const whole = open();
    whole.begin([]);
    try {
      const begun: (Promise<void> | undefined)[] = [];
      for (const read of await reading) {
        await takeTurn();
        begun.push(begin(read));
      }
      await Promise.all(begun);
    } catch (error) {
      parts.push({ read: UNREADABLE, events: open() });
      throw error;
    } finally {
      whole.finish([], 'known');
    }
  }

  async function endAll(end: (part: RequestPart) => void): Promise<void> {
    await beginning?.catch(() => {
      // The proxy was told, and the part that could not begin says so.
    });
    for (const part of parts) {
      await takeTurn();
      end(part);
    }
  }

  return {
    begin(reading) {
      if (!(reading instanceof Promise)) return begin(reading);
      beginning = beginAll(reading);
      return beginning;
    },
    finish(end) {
      if (beginning === undefined) parts.forEach(end);
      else void endAll(end);
    },
  };
}

import { randomUUID } from 'node:crypto';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { inboxPrefix } from '@edge-migration/runtime/nats/connection.ts';
import { createInbox, type Msg, MsgHdrsImpl, type NatsConnection } from '@nats-io/transport-node';
import { z } from 'zod';

/** The server's answer about a stored message. */
const answer = z.union([
  z.object({ stream: z.string(), seq: z.int().positive(), duplicate: z.boolean().optional() }),
  z.object({ error: z.object({ code: z.number(), err_code: z.number().optional(), description: z.string() }) }),
]);

export interface Acknowledgement {
  stream: string;
  /** The first message's, if the stream has recognised a duplicate. */
  sequence: number;
  duplicate: boolean;
}

/** no stream has this subject, or it has no leader at the moment. */
class NoStreamError extends Error {
  override readonly name = 'NoStreamError';
  readonly disposition = 'transient';
}
/** The stream refused the message: full, too large, … */
export class StreamRefusedError extends Error {
  override readonly name = 'StreamRefusedError';
  readonly disposition = 'transient';
}
/** No answer came in time; the message may or may not be stored. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
  readonly disposition = 'transient';
}
/** The connection is gone; messages without an answer may or may not be stored. */
export class DisconnectedError extends Error {
  override readonly name = 'DisconnectedError';
  readonly disposition = 'transient';
}

/** Exactly one of the two is called, once. */
interface Settle {
  stored(acknowledgement: Acknowledgement): void;
  failed(error: Error): void;
}

/** Headers by their names; NATS allows several values of one name. Neither may hold a line end. */
export type HeaderFields = Record<string, string[]>;

/** Publishes with an acknowledgement each, any number of them under way. */
export interface AcknowledgedPublisher {
  publish(subject: string, payload: string, fields: HeaderFields, settle: Settle): void;
  /** Gives up those that wait too long; to be called now and then. */
  expire(): void;
  /** Gives up all. */
  failAll(error: Error): void;
  close(): void;
}

interface Waiting extends Settle {
  since: number;
}

/**
 * One subscription takes all acknowledgements, and one pass over them finds those that are late. The client library's
 * `publish()` makes a request with its own timer for each, which costs twice as much.
 *
 * @throws ClosedConnectionError when the connection is closed
 */
export function createAcknowledgedPublisher(
  connection: NatsConnection,
  clock: Clock,
  timeoutMs: number,
): AcknowledgedPublisher {
  const inbox = createInbox(inboxPrefix('sidecar'));
  const waiting = new Map<string, Waiting>();
  const subscription = connection.subscribe(`${inbox}.*`, {
    callback(error, message) {
      // An error concerns the subscription; the connection's status reports it.
      if (error === null) take(message);
    },
  });

  function take(message: Msg): void {
    const token = message.subject.slice(inbox.length + 1);
    const settle = waiting.get(token);
    if (settle === undefined || !waiting.delete(token)) return;
    const result = parse(message);
    if (result instanceof Error) settle.failed(result);
    else settle.stored(result);
  }

  return {
    publish(subject, payload, fields, settle) {
      // Not to be guessed: others with the same NATS user could have the stream acknowledge another message in its
      // place.
      const token = randomUUID();
      waiting.set(token, { ...settle, since: clock.monotonic() });
      try {
        connection.publish(subject, payload, { reply: `${inbox}.${token}`, headers: MsgHdrsImpl.fromRecord(fields) });
      } catch (cause) {
        waiting.delete(token);
        settle.failed(new DisconnectedError('the connection is closed', { cause }));
      }
    },
    expire() {
      const before = clock.monotonic() - timeoutMs;
      // In the order of their publishing: the first that is not late ends the search.
      for (const [token, { since, failed }] of waiting) {
        if (since > before) return;
        waiting.delete(token);
        failed(new NoAnswerError(`no acknowledgement within ${timeoutMs} ms`));
      }
    },
    failAll(error) {
      const all = [...waiting.values()];
      waiting.clear();
      for (const { failed } of all) failed(error);
    },
    close() {
      if (!connection.isClosed()) subscription.unsubscribe();
    },
  };
}

function parse(message: Msg): Acknowledgement | Error {
  const status = message.headers?.code;
  if (status === 503) return new NoStreamError('no stream has this subject');
  const parsed = answer.safeParse(tryJson(message.string()));
  if (!parsed.success) return new StreamRefusedError('the response is not an acknowledgement', { cause: parsed.error });
  if ('error' in parsed.data) {
    const { code, err_code, description } = parsed.data.error;
    return new StreamRefusedError(`${description} (${err_code ?? code})`);
  }
  const { stream, seq, duplicate = false } = parsed.data;
  return { stream, sequence: seq, duplicate };
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

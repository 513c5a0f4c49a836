import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { DYNAMODB_CALL, DYNAMODB_REQUEST_MS } from '@edge-migration/runtime/policies.ts';
import { isPassing, retry } from '@edge-migration/runtime/retry.ts';
import { createWriteBudget, type WriteBudget } from '../rate.ts';
import { findRegion } from '../region.ts';
import {
  DeadlinePassedError,
  describeFailure,
  EdgeRefusedError,
  EdgeThrottledError,
  EdgeUnreachableError,
  isServerFailure,
  type TablePlace,
} from './errors.ts';
import { createHttpHandler, type HandlerOptions, type SendDeadline } from './http.ts';
import { PlainJsonProtocol } from './protocol.ts';

export interface EdgeOptions {
  readonly clock?: Clock;
  /** Shared by everything that writes through this connection. */
  readonly budget?: WriteBudget;
  /** Read units for readers of whole tables; single reads and replay are not held up. */
  readonly readBudget?: WriteBudget | undefined;
  /** How long one call keeps trying while DynamoDB throttles, fails or cannot be reached. */
  readonly retryBudgetMs?: number;
  /** Longest time for one request. */
  readonly requestTimeoutMs?: number;
  /** For tests and tools; AWS's default chain when left out. */
  readonly credentials?: NonNullable<DynamoDBClientConfig['credentials']>;
}

export interface EdgeCallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Nothing is sent after this time; the call then fails with `DeadlinePassedError`. */
  readonly deadline?: SendDeadline | undefined;
  /** Notified of each request that was sent and got no answer: its write may be carried out at any later time. */
  readonly lost?: (() => void) | undefined;
  /** Not retried when it fails, because the caller knows another way. */
  readonly once?: boolean | undefined;
  /** Another part of DynamoDB answers it, so it does not show whether items can be read and written. */
  readonly isAside?: boolean | undefined;
}

/** One client of DynamoDB for all tables of a process. */
export interface EdgeConnection {
  readonly clock: Clock;
  readonly budget: WriteBudget;
  readonly readBudget: WriteBudget | undefined;
  place(table: string): TablePlace;
  /** The region that requests are sent to now. */
  region(): Promise<string>;
  /** The region of the settings. */
  homeRegion(): Promise<string>;
  /** Switches requests to another region; undefined: that of the settings. Those in progress are retried there. */
  goTo(settings: ConnectionSettings | undefined): void;
  /**
   * Sends until there is an answer: throttling, server failures and network failures are retried with growing, jittered
   * pauses until the retry budget is spent. A write that is repeated may have been done the first time.
   *
   * @throws EdgeError, DeadlinePassedError, or the signal's reason
   */
  call<O>(table: string, send: Send<O>, options: EdgeCallOptions): Promise<O>;
  /**
   * Repeats work that consists of calls, with the same budget, where an answer leaves a part of it to do: for that
   * part `work` throws what {@link call} would throw for all of it.
   */
  repeat<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
  /** Since when the present region has answered no request for items; undefined if it answered the last one, if any. */
  silence(): Silence | undefined;
  close(): void;
}

export interface Silence {
  /** By the wall clock, milliseconds since the epoch. */
  readonly since: number;
  /** Duration by the monotonic clock. */
  readonly lastedMs: number;
}

export type Send<O> = (client: DynamoDBClient, options: HandlerOptions) => Promise<O>;

/** More than any process has in progress. */
const MAX_SOCKETS = 64;

export interface ConnectionSettings {
  readonly dynamodbEndpoint?: string | undefined;
  /** AWS's own settings when left out, see {@link findRegion}. */
  readonly dynamodbRegion?: string | undefined;
}

/** A region, and the client that signs for it. */
interface Way {
  readonly client: DynamoDBClient;
  region(): Promise<string>;
  where(): string;
}

function openWay(settings: ConnectionSettings, options: EdgeOptions): Way {
  let { dynamodbRegion: name } = settings;
  const region = async () => (name ??= await findRegion());
  return {
    client: createClient(settings, options, region),
    region,
    where: () => settings.dynamodbEndpoint ?? name ?? 'the default region',
  };
}

export function connectToEdge(settings: ConnectionSettings, options: EdgeOptions): EdgeConnection {
  const clock = options.clock ?? systemClock;
  const budget = options.budget ?? createWriteBudget({ clock });
  const policy = { ...DYNAMODB_CALL, budgetMs: options.retryBudgetMs ?? DYNAMODB_CALL.budgetMs };
  const home = openWay(settings, options);
  const others = new Map<string, Way>();
  let way = home;
  let proven = false;
  let silent: { readonly since: number; readonly started: number } | undefined;

  /** A role that worked a moment ago is being rotated or its session renewed; one that never worked is wrong. */
  const isWorthIt = (failure: unknown) => isPassing(failure) || (proven && failure instanceof EdgeRefusedError);

  return {
    clock,
    budget,
    readBudget: options.readBudget,
    place: (table) => ({ table, where: way.where() }),
    region: () => way.region(),
    homeRegion: () => home.region(),
    repeat: (work, signal) => retry(work, { policy, clock, signal }),

    goTo(target) {
      const name = JSON.stringify([target?.dynamodbRegion, target?.dynamodbEndpoint]);
      way = target === undefined ? home : (others.get(name) ?? openWay(target, options));
      if (target !== undefined) others.set(name, way);
      silent = undefined;
    },

    async call(table, send, { signal, deadline, lost, once, isAside = false }) {
      const handlerOptions: HandlerOptions = {
        deadline,
        ...(signal && { abortSignal: signal }),
        ...(lost && { lost }),
      };
      let asked = { way, since: clock.now(), started: clock.monotonic() };
      let failure: Error | undefined;

      async function ask() {
        if (deadline !== undefined && deadline.left() <= 0) {
          throw new DeadlinePassedError('too late to send', { cause: failure });
        }
        if (asked.way !== way) asked = { way, since: clock.now(), started: clock.monotonic() };
        try {
          const output = await send(asked.way.client, handlerOptions);
          proven = true;
          if (asked.way === way && !isAside) silent = undefined;
          return output;
        } catch (error) {
          signal?.throwIfAborted();
          failure = describeFailure(error, { table, where: asked.way.where() });
          // A server that does not know the question has answered, too.
          const isSilent = failure instanceof EdgeUnreachableError && failure.answer === undefined;
          if (asked.way === way && !isAside) silent = isSilent ? (silent ?? asked) : undefined;
          // A component on the way has stopped waiting for the one that carries it out.
          if (isServerFailure(error)) lost?.();
          if (failure instanceof EdgeThrottledError) budget.throttled();
          throw failure;
        }
      }

      return once ? ask() : retry(ask, { policy, clock, signal, isWorthIt });
    },

    silence: () => silent && { since: silent.since, lastedMs: clock.monotonic() - silent.started },

    close() {
      for (const { client } of [home, ...others.values()]) client.destroy();
    },
  };
}

/**
 * Parts of the SDK that take a third of its time for nothing here: the logger rewrites every input and output even
 * without a listener, the others compose headers that DynamoDB does not read.
 */
export const WASTEFUL = ['loggerMiddleware', 'getUserAgentMiddleware', 'recursionDetectionMiddleware'];

function createClient(
  { dynamodbEndpoint }: ConnectionSettings,
  { credentials, requestTimeoutMs = DYNAMODB_REQUEST_MS }: EdgeOptions,
  region: () => Promise<string>,
): DynamoDBClient {
  const client = new DynamoDBClient({
    region,
    ...(dynamodbEndpoint === undefined ? {} : { endpoint: dynamodbEndpoint }),
    ...(credentials === undefined ? {} : { credentials }),
    // Retries are ours: they must respect the write budget, the deadline and single statements.
    maxAttempts: 1,
    retryMode: 'standard',
    protocol: PlainJsonProtocol,
    requestHandler: createHttpHandler({ timeoutMs: requestTimeoutMs, maxSockets: MAX_SOCKETS }),
  });
  for (const middleware of WASTEFUL) client.middlewareStack.remove(middleware);
  return client;
}

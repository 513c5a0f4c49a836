import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { API_CALL } from '@edge-migration/runtime/policies.ts';
import { retry } from '@edge-migration/runtime/retry.ts';
import type { KubeConfig } from '@kubernetes/client-node';
import { type Dispatcher, request } from 'undici';
import { createConnection } from './connection.ts';
import { abortable, DeadlineError, startDeadline, withDeadline } from './deadline.ts';
import { ApiError, responseError, TooManyRequestsError, UnauthorizedError, UnreachableError } from './errors.ts';
import type { RuntimeMetrics } from './metrics.ts';
import { objectKey, type Resource } from './objects.ts';

export type Headers = Readonly<Record<string, string | string[]>>;

/** One request as described by a verb. */
export interface Call {
  readonly verb: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly resource: Resource;
  readonly target: {
    readonly namespace?: string | undefined;
    readonly name?: string | undefined;
    readonly subresource?: string | undefined;
  };
  readonly query?: Readonly<Record<string, string | number | undefined>> | undefined;
  readonly body?: unknown;
  readonly contentType?: string | undefined;
  /** Override the client's own headers of the same names, which are lower case. */
  readonly headers?: Headers | undefined;
  /** Executing it twice has the same effect as once. */
  readonly repeatable?: boolean | undefined;
  /** Called at each attempt, right before the request is sent; throws to prevent that. */
  readonly guard?: (() => void) | undefined;
}

export interface Transport {
  /** Sends with deadlines and retries; returns the response's JSON. */
  send(
    call: Call,
    options: {
      signal?: AbortSignal | undefined;
      timeoutMs?: number | undefined;
      retries?: number | undefined;
    },
  ): Promise<unknown>;
  /** Opens a stream, once. Leaving the loop over it closes it; silence ends it. */
  open(
    call: Call,
    options: { signal?: AbortSignal | undefined; inactivityMs: number },
  ): Promise<AsyncGenerator<Uint8Array, void>>;
  close(): Promise<void>;
}

export interface TransportSettings {
  readonly kubeConfig: KubeConfig;
  readonly clock: Clock;
  readonly userAgent: string;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly metrics: RuntimeMetrics;
  readonly random: () => number;
}

/** Facts about a failed attempt. */
interface Progress {
  /** The API server may have received it. */
  sent: boolean;
  /** The guard threw this. */
  refusal?: { error: unknown };
}

/** HTTP to the API server: credentials, shared connections, deadlines, retries, typed errors, metrics. */
export function createTransport(settings: TransportSettings): Transport {
  const { clock, metrics, random } = settings;
  const connection = createConnection(settings.kubeConfig);

  async function dispatch(call: Call, signal: AbortSignal, progress: Progress) {
    const { server, headers, dispatcher } = await abortable(connection.access(), signal);
    const url = new URL(server + path(call));
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
    }
    const options = {
      method: call.method,
      headers: {
        ...headers,
        ...call.headers,
        accept: 'application/json',
        'user-agent': settings.userAgent,
        ...(call.body !== undefined && { 'content-type': call.contentType ?? 'application/json' }),
      },
      body: call.body === undefined ? null : JSON.stringify(call.body),
      signal,
      dispatcher: beforeSending(dispatcher, () => {
        try {
          call.guard?.();
        } catch (error) {
          progress.refusal = { error };
          throw error;
        }
        progress.sent = true;
      }),
    };
    const count = (code: string) => metrics.requests.inc({ code, method: call.method, host: url.host });
    const stopTimer = metrics.requestSeconds.startTimer({ verb: call.verb, host: url.host });
    try {
      // undici notices an abort only once connected.
      const response = await abortable(request(url, options), signal);
      count(String(response.statusCode));
      if (response.statusCode >= 400) throw await readError(call, response, signal);
      return response;
    } catch (error) {
      if (!(error instanceof ApiError || progress.refusal)) count('<error>');
      throw error;
    } finally {
      stopTimer();
    }
  }

  async function attempt(call: Call, signal: AbortSignal, progress: Progress): Promise<unknown> {
    try {
      const { body } = await dispatch(call, signal, progress);
      return parseBody(call, await body.text());
    } catch (error) {
      if (progress.refusal !== undefined) throw progress.refusal.error;
      throw callError(call, error, signal);
    }
  }

  /**
   * A subset of transient errors: rights are not granted within seconds, and a request that is sent twice may be
   * executed twice.
   */
  function isWorthIt(call: Call, error: unknown, { sent }: Progress): boolean {
    if (!(error instanceof ApiError)) return false;
    const refused = error instanceof TooManyRequestsError || (error instanceof UnreachableError && !sent);
    const failed = error instanceof UnreachableError || error.status >= 500;
    return refused || (failed && call.repeatable === true);
  }

  return {
    async send(call, { signal, timeoutMs = settings.timeoutMs, retries = settings.retries }) {
      let refreshed = false;
      let progress: Progress = { sent: false };

      async function sendOnce(): Promise<unknown> {
        progress = { sent: false };
        try {
          return await withDeadline(clock, timeoutMs, signal, (deadline) => attempt(call, deadline.signal, progress));
        } catch (error) {
          if (refreshed || !(error instanceof UnauthorizedError)) throw error;
          // The token may have been rotated before the cached copy expired. A request with a 401 was not executed.
          connection.refresh();
          refreshed = true;
          return sendOnce();
        }
      }

      return retry(sendOnce, {
        policy: { ...API_CALL, attempts: retries + 1 },
        isWorthIt: (error) => isWorthIt(call, error, progress),
        ...{ clock, signal, random },
      });
    },

    async open(call, { signal, inactivityMs }) {
      const connecting = Math.min(inactivityMs, settings.timeoutMs);
      const deadline = startDeadline(clock, connecting, signal);
      try {
        const { body } = await dispatch(call, deadline.signal, { sent: false });
        deadline.extend(inactivityMs);
        return readChunks(call, body, deadline, inactivityMs);
      } catch (error) {
        deadline.stop();
        if (error instanceof UnauthorizedError) connection.refresh();
        throw callError(call, error, deadline.signal);
      }
    },

    close: () => connection.close(),
  };
}

async function* readChunks(
  call: Call,
  body: AsyncIterable<Uint8Array>,
  deadline: ReturnType<typeof startDeadline>,
  inactivityMs: number,
): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const chunk of body) {
      deadline.extend(inactivityMs);
      yield chunk;
    }
  } catch (error) {
    throw callError(call, error, deadline.signal);
  } finally {
    deadline.stop();
  }
}

/** Runs a check at the last moment before undici writes the request to a connected socket. */
function beforeSending(dispatcher: Dispatcher, check: () => void): Dispatcher {
  return dispatcher.compose((dispatch) => (options, handler) => {
    const start = handler.onRequestStart;
    handler.onRequestStart = (controller, context) => {
      check();
      return start?.call(handler, controller, context);
    };
    return dispatch(options, handler);
  });
}

async function readError(call: Call, response: Dispatcher.ResponseData, signal: AbortSignal): Promise<ApiError> {
  const text = await abortable(response.body.text(), signal);
  const retryAfter = Number(response.headers['retry-after']);
  const retryAfterMs = retryAfter >= 0 ? retryAfter * 1000 : undefined;
  return responseError(describe(call), response.statusCode, tryParse(text), retryAfterMs);
}

function parseBody(call: Call, text: string): unknown {
  const body = tryParse(text);
  if (typeof body === 'object' && body !== null) return body;
  throw new UnreachableError(`${describe(call)}: the response is not a JSON object`, {
    status: 0,
    reason: 'MalformedResponse',
    disposition: 'transient',
  });
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The error of a failed attempt: the caller's abort unchanged, otherwise an ApiError. */
function callError(call: Call, error: unknown, signal: AbortSignal): unknown {
  if (error instanceof ApiError) return error;
  const reason: unknown = signal.aborted ? signal.reason : error;
  if (signal.aborted && !(reason instanceof DeadlineError)) return reason;
  const code = (reason as { code?: unknown } | null)?.code;
  const detail = errorMessage(reason) || String(code);
  return new UnreachableError(
    `${describe(call)}: ${detail}`,
    { status: 0, reason: reason instanceof DeadlineError ? 'Timeout' : 'Unreachable', disposition: 'transient' },
    { cause: reason },
  );
}

/** `apply edgemigrations/status prod/project-42`. */
function describe({ verb, resource, target }: Call): string {
  const what = target.subresource === undefined ? resource.plural : `${resource.plural}/${target.subresource}`;
  const where =
    target.name === undefined ? target.namespace : objectKey({ namespace: target.namespace, name: target.name });
  return where === undefined ? `${verb} ${what}` : `${verb} ${what} ${where}`;
}

function path({ resource, target }: Call): string {
  const { group, version, plural, namespaced } = resource;
  const { namespace, name, subresource } = target;
  return [
    ...(group === '' ? ['api', version] : ['apis', group, version]),
    ...(namespaced && namespace !== undefined ? ['namespaces', namespace] : []),
    plural,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ]
    .map((segment) => `/${encodeURIComponent(segment)}`)
    .join('');
}

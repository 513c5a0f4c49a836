import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { Pool } from 'undici';
import { CORE_API } from '../replay-parts.ts';
import type { CoreRequest } from './core-requests.ts';

/** The outcome of a write for its client. `unknown`: no answer came; it may have been committed or not. */
type WriteOutcome = 'acknowledged' | 'refused' | 'failed' | 'unknown';

export interface CoreClients extends AsyncDisposable {
  /** Sends one request to a Core API through its sidecar. Never rejects. */
  send(request: CoreRequest): Promise<WriteOutcome>;
  /** Sends the requests chosen by `next`, `rate` times a second, until the signal aborts and all answers are there. */
  run(next: () => ChosenRequest | undefined, rate: number, signal: AbortSignal): Promise<void>;
  /** Returns when each API has answered all earlier requests, including those its clients gave up. */
  settle(): Promise<void>;
  readonly counts: WriteCounts;
  /** By `shared-…` identity: when the last acknowledged write of its `plan` was sent, monotonic. */
  readonly sharedWrites: ReadonlyMap<string, number>;
}

export interface ChosenRequest extends CoreRequest {
  /** Repeated until it is answered, as by people whose click had no answer. */
  readonly insists?: boolean;
}

export interface WriteCounts extends Record<WriteOutcome, number> {
  /** Not sent, because every API had its clients' maximum of requests in flight. */
  skipped: number;
  byRoute: Map<string, number>;
}

/** Usually long enough for a frozen sidecar or API to resume. */
const TIMEOUT_MS = 10_000;
const IN_HAND = 48;
const TICK_MS = 10;
const AGAIN_MS = 1000;
/** More than all workers and threads of an API together, so that each of them has answered one. */
const SETTLE_REQUESTS = 16;

/** Clients of several Core APIs; each write goes to one of them in turn, or to the next when that one is full. */
export function createCoreClients(baseUrls: readonly string[], clock: Clock = systemClock): CoreClients {
  const apis = baseUrls.map((url) => ({
    pool: new Pool(url, { connections: IN_HAND, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS }),
    inHand: 0,
  }));
  const counts: WriteCounts = { acknowledged: 0, refused: 0, failed: 0, unknown: 0, skipped: 0, byRoute: new Map() };
  const sharedWrites = new Map<string, number>();
  let turn = 0;

  function choose() {
    turn += 1;
    const first = apis[turn % apis.length];
    return first !== undefined && first.inHand < IN_HAND ? first : apis.find(({ inHand }) => inHand < IN_HAND);
  }

  async function send(request: CoreRequest): Promise<WriteOutcome> {
    const api = choose();
    if (api === undefined) {
      counts.skipped += 1;
      return 'unknown';
    }
    const started = clock.monotonic();
    api.inHand += 1;
    const outcome = await exchange(api.pool, request);
    api.inHand -= 1;
    counts[outcome] += 1;
    counts.byRoute.set(request.route, (counts.byRoute.get(request.route) ?? 0) + 1);
    if (outcome === 'acknowledged' && request.shared !== undefined) {
      sharedWrites.set(request.shared, Math.max(started, sharedWrites.get(request.shared) ?? 0));
    }
    return outcome;
  }

  async function insist(request: ChosenRequest): Promise<void> {
    for (;;) {
      const outcome = await send(request);
      if (!request.insists || outcome === 'acknowledged' || outcome === 'refused') return;
      await clock.sleep(AGAIN_MS);
    }
  }

  return {
    send,
    counts,
    sharedWrites,
    async run(next, rate, signal) {
      const sending = new Set<Promise<unknown>>();
      const begun = clock.monotonic();
      for (let sent = 0; !signal.aborted; ) {
        for (const due = ((clock.monotonic() - begun) / 1000) * rate; sent < due; sent++) {
          const request = next();
          if (request === undefined) continue;
          const one = insist(request).finally(() => sending.delete(one));
          sending.add(one);
        }
        await clock.sleep(TICK_MS, signal).catch(() => {});
      }
      await Promise.all(sending);
    },
    async settle() {
      for (const { pool } of apis) {
        const probes = Array.from({ length: SETTLE_REQUESTS }, () => probe(pool, clock));
        await Promise.all(probes);
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(apis.map(({ pool }) => pool.destroy()));
    },
  };
}

async function exchange(pool: Pool, { method, path, environmentKey, body }: CoreRequest): Promise<WriteOutcome> {
  try {
    const response = await pool.request({
      method: method as 'GET',
      path: `/api/v1/${path}`,
      headers: {
        'content-type': 'application/json',
        ...(environmentKey === undefined
          ? { authorization: `Token ${CORE_API.adminToken}` }
          : { 'x-environment-key': environmentKey }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    await response.body.dump();
    if (response.statusCode < 300) return 'acknowledged';
    // The sidecar's answer while its API is down.
    if (response.statusCode === 502 || response.statusCode === 504) return 'unknown';
    return response.statusCode < 500 ? 'refused' : 'failed';
  } catch {
    return 'unknown';
  }
}

/** Repeats until the API answers; requests queue, so all earlier ones are then done. */
async function probe(pool: Pool, clock: Clock): Promise<void> {
  for (;;) {
    const status = await pool
      .request({ method: 'GET', path: '/health/liveness/' })
      .then(async ({ statusCode, body }) => {
        await body.dump();
        return statusCode;
      })
      .catch(() => undefined);
    if (status === 200) return;
    await clock.sleep(200);
  }
}

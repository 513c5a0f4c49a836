import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { WaitTimeoutError, waitFor } from '../../cluster/wait.ts';
import type { TestTables } from '../../edge/tables.ts';
import type { CoreClients } from './core-clients.ts';
import type { Population } from './population.ts';

export interface Canary {
  /** Creates an identity in Core every other second and waits for it in Edge, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Seconds from Core's answer until the document existed, in ascending order. */
  seconds(): number[];
  /** Number of acknowledged identities that did not arrive. */
  readonly missing: number;
}

const EVERY_MS = 2000;
const POLL_MS = 50;
/**
 * Measures the lag of replay as its users see it.
 *
 * @param timeoutMs time after which one is given up; late is not lost
 */
export function createCanary(
  clients: CoreClients,
  population: Population,
  tables: TestTables,
  timeoutMs: number,
  clock: Clock = systemClock,
): Canary {
  const times: number[] = [];
  let missing = 0;

  async function measure(identifier: string): Promise<void> {
    const environmentKey = population.current().environments[0]?.apiKey ?? '';
    const request = { route: 'canary', method: 'POST', path: 'identities/', environmentKey };
    const body = { identifier, traits: [{ trait_key: 'plan', trait_value: 'canary' }] };
    if ((await clients.send({ ...request, body })) !== 'acknowledged') return;
    const answered = clock.monotonic();
    const isThere = async () => (await tables.get(`${environmentKey}_${identifier}`)) !== undefined;
    try {
      await waitFor(isThere, { for: identifier, intervalMs: POLL_MS, timeoutMs });
      times.push((clock.monotonic() - answered) / 1000);
    } catch (error) {
      if (!(error instanceof WaitTimeoutError)) throw error;
      missing += 1;
    }
  }

  return {
    seconds: () => times.toSorted((a, b) => a - b),
    get missing() {
      return missing;
    },
    async run(signal) {
      const measuring: Promise<void>[] = [];
      for (let number = 0; !signal.aborted; number++) {
        measuring.push(measure(`canary-${number}`));
        await clock.sleep(EVERY_MS, signal).catch(() => {});
      }
      await Promise.all(measuring);
    },
  };
}

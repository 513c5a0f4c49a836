/**
 * Clients of the Core API as a pod: writes a trait so many times a second through the Service, each until it is
 * acknowledged, as an SDK with retries would. Ends with one line of JSON.
 */
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { z } from 'zod';

const count = z.coerce.number().int().positive();
const configuration = z.object({
  url: z.url(),
  environmentKey: z.string().min(1),
  /** Writes a second. */
  rate: count,
  seconds: count,
  identities: count.default(1000),
});

const RETRY_AFTER_MS = 250;
const TIMEOUT_MS = 10_000;
/** A write not acknowledged by then is abandoned and reported. */
const WRITE_TIMEOUT_MS = 300_000;

const { url, environmentKey, rate, seconds, identities } = parseEnvironment(configuration, process.env);
const lost: number[] = [];
const latencies: number[] = [];
let retries = 0;

async function attempt(n: number): Promise<boolean> {
  const traits = [{ trait_key: `t${Math.floor(n / identities)}`, trait_value: n }];
  try {
    const response = await fetch(`${url}/api/v1/identities/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-environment-key': environmentKey },
      body: JSON.stringify({ identifier: `load-${n % identities}`, traits }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

async function write(n: number): Promise<void> {
  const begun = systemClock.monotonic();
  while (!(await attempt(n))) {
    if (systemClock.monotonic() - begun > WRITE_TIMEOUT_MS) {
      lost.push(n);
      return;
    }
    retries += 1;
    await systemClock.sleep(RETRY_AFTER_MS);
  }
  latencies.push(systemClock.monotonic() - begun);
}

const begun = systemClock.monotonic();
const writing = new Set<Promise<void>>();
let sent = 0;
for (; sent < rate * seconds; ) {
  for (const due = ((systemClock.monotonic() - begun) / 1000) * rate; sent < due; sent++) {
    const one = write(sent).finally(() => writing.delete(one));
    writing.add(one);
  }
  await systemClock.sleep(10);
}
await Promise.all(writing);
const elapsed = (systemClock.monotonic() - begun) / 1000;
latencies.sort((a, b) => a - b);
const quantile = (share: number) => Math.round(latencies[Math.floor(share * (latencies.length - 1))] ?? 0);
const report = { sent, lost, retries, seconds: elapsed, p50: quantile(0.5), p99: quantile(0.99), max: quantile(1) };
process.stdout.write(`${JSON.stringify(report)}\n`);

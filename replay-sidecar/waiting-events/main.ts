import process from 'node:process';
import { parseArgs } from 'node:util';
import { systemClock } from '@edge-migration/identity/clock.ts';
import { parseEnvironment } from '@edge-migration/identity/config/environment.ts';
import { z } from 'zod';
import { applierConfiguration } from '../applier/config.ts';
import { manage } from '../applier/streams.ts';
import { connectNats } from '../nats.ts';
import { listWaiting } from './list.ts';

/**
 * Prints the events that wait aside until somebody says what is to become of them, one JSON object a line. Runs beside an
 * applier, with its settings: `kubectl exec deployment/edge-migration-applier -- node replay-sidecar/waiting-events/main.ts`.
 */
const LONGEST_MILLIS = 60_000;
const { values } = parseArgs({ options: { most: { type: 'string', default: '100' } } });
const most = z.coerce.number().int().min(1).max(10_000).parse(values.most);
const connection = await connectNats(parseEnvironment(applierConfiguration, process.env), {
  name: 'edge-applier waiting-events',
  role: 'applier',
  clock: systemClock,
  signal: AbortSignal.timeout(LONGEST_MILLIS),
  onFailure: (error) => void process.stderr.write(`Cannot connect to NATS: ${String(error)}\n`),
});
try {
  for (const event of await listWaiting(await manage(connection), most))
    process.stdout.write(`${JSON.stringify(event)}\n`);
} finally {
  await connection.close();
}

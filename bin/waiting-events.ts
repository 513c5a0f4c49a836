import process from 'node:process';
import { parseArgs } from 'node:util';
import { manage } from '@edge-migration/contract/streams/applier.ts';
import { applierConfiguration } from '@edge-migration/replay-sidecar/applier/config.ts';
import { listWaiting } from '@edge-migration/replay-sidecar/waiting-events/list.ts';
import { connectNats } from '@edge-migration/runtime/nats/connection.ts';
import { runToolProcess } from '@edge-migration/runtime/process.ts';
import { z } from 'zod';

/**
 * Prints the parked events that need a decision, one JSON object a line. Runs next to an applier, with its settings:
 * `kubectl exec deployment/edge-migration-applier -- node bin/waiting-events.ts`. Exit codes: 0 printed, 1 failed, 64
 * wrong configuration.
 */
const LONGEST_MS = 60_000;
const { values } = parseArgs({ options: { most: { type: 'string', default: '100' } } });
const most = z.coerce.number().int().min(1).max(10_000).parse(values.most);

await runToolProcess({
  configuration: applierConfiguration,
  async run({ configuration, clock }) {
    const connection = await connectNats(configuration, {
      name: 'edge-applier waiting-events',
      role: 'applier',
      clock,
      signal: AbortSignal.timeout(LONGEST_MS),
      onFailure: (error) => void process.stderr.write(`Cannot connect to NATS: ${String(error)}\n`),
    });
    try {
      for (const event of await listWaiting(await manage(connection), most))
        process.stdout.write(`${JSON.stringify(event)}\n`);
    } finally {
      await connection.close();
    }
    return 0;
  },
  onMisconfigured: (problem) => void process.stderr.write(`${problem}\n`),
});

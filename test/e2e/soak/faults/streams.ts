import { cp, rm } from 'node:fs/promises';
import { STREAM } from '@edge-migration/contract/write-event.ts';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { Nats } from '../../../cluster/nats.ts';
import type { Fault } from './faults.ts';

const LONGEST_MS = 6_000;

/** Effects of storage that breaks its promises on NATS, and of administrators on streams. */
export function createStreamFaults(nats: Nats, clock: Clock = systemClock): Fault[] {
  const { storeDirectory } = nats;
  if (storeDirectory === undefined) throw new TypeError('NATS must run as a process of this machine');

  return [
    {
      name: 'NATS loses its tail',
      subject: 'nats',
      weight: 4,
      async run(share) {
        const copy = `${storeDirectory}-earlier`;
        await nats.kill('SIGKILL');
        await cp(storeDirectory, copy, { recursive: true });
        await nats.restart();
        await clock.sleep(1_000 + share * LONGEST_MS);
        await nats.kill('SIGKILL');
        await rm(storeDirectory, { recursive: true });
        await cp(copy, storeDirectory, { recursive: true });
        await rm(copy, { recursive: true });
        await nats.restart();
      },
    },
    {
      name: 'stream deleted and made again',
      subject: 'nats',
      weight: 3,
      async run(share) {
        const connection = await connect({ servers: nats.url });
        try {
          const { streams } = await jetstreamManager(connection);
          const { config } = await streams.info(STREAM);
          await streams.delete(STREAM);
          await clock.sleep((share * LONGEST_MS) / 2);
          // The operator may have been faster.
          await streams.add(config).catch(async (error: unknown) => {
            await streams.info(STREAM).catch(() => Promise.reject(error));
          });
        } finally {
          await connection.close();
        }
      },
    },
  ];
}

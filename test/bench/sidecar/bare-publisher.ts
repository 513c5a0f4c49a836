/**
 * The client library's cost of publishing an event with its acknowledgement: prints microseconds of CPU time each.
 * Arguments: NATS's URL, the number of events.
 */
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

const WINDOW = 64;
const [servers = '', count = ''] = process.argv.slice(2);
const connection = await connect({ servers });
const stream = jetstream(connection);
const event = JSON.stringify({ version: 1, id: 'x', target: { kind: 'identity', identifier: 'x'.repeat(300) } });

async function publish(from: number, to: number): Promise<void> {
  for (let n = from; n < to; n += WINDOW) {
    const ids = Array.from({ length: WINDOW }, (_, index) => `bare-${n + index}`);
    await Promise.all(ids.map((msgID) => stream.publish('identity.writes.event', event, { msgID })));
  }
}

await publish(0, Number(count) / 2);
const { user, system } = process.cpuUsage();
await publish(Number(count), 2 * Number(count));
const spent = process.cpuUsage();
console.log((spent.user + spent.system - user - system) / Number(count));
await connection.close();

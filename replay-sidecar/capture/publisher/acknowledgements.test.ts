import { systemClock } from '@edge-migration/runtime/clock.ts';
import { inboxPrefix } from '@edge-migration/runtime/nats/connection.ts';
import { startNatsWithAccounts } from '@edge-migration/test/cluster/nats-accounts.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { connect } from '@nats-io/transport-node';
import { expect, it } from 'vitest';
import { createAcknowledgedPublisher, NoAnswerError } from './acknowledgements.ts';

const FORGED = JSON.stringify({ stream: 'IDENTITY_WRITES', seq: 7 });

it('the publisher takes no acknowledgement from a neighbour that has heard others', async () => {
  await using nats = await startNatsWithAccounts();
  const [sidecar, neighbour] = [await connect({ servers: nats.url }), await connect({ servers: nats.url })];
  const heard: string[] = [];
  neighbour.subscribe(`${inboxPrefix('sidecar')}.>`, { callback: (_, { subject }) => void heard.push(subject) });
  neighbour.subscribe('answers', { callback: (_, message) => void message.respond(FORGED) });
  neighbour.subscribe('never.answers', { callback() {} });
  await neighbour.flush();
  const publisher = createAcknowledgedPublisher(sidecar, systemClock, 1);
  const publish = (subject: string) =>
    new Promise((stored, failed) => publisher.publish(subject, '', {}, { stored, failed }));
  await publish('answers');
  await waitFor(() => heard.length === 1, { for: 'the neighbour to hear it' });

  const unanswered = publish('never.answers').catch((error: unknown) => error);
  const inbox = heard[0]!.slice(0, heard[0]!.lastIndexOf('.'));
  // The possible next ones, if tokens were counted.
  for (let token = 0; token < 2000; token++) neighbour.publish(`${inbox}.${token.toString(36)}`, FORGED);
  await neighbour.flush();
  await sidecar.flush();
  await systemClock.sleep(5, AbortSignal.timeout(1000));
  publisher.expire();
  expect(await unanswered).toBeInstanceOf(NoAnswerError);
  publisher.close();
  await Promise.all([sidecar.close(), neighbour.close()]);
});

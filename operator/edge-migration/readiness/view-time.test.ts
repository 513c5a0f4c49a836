import { openCore } from '@edge-migration/identity/core/database.ts';
import { createServingTables } from '@edge-migration/identity/edge/serving-tables.ts';
import { connect } from '@edge-migration/identity/edge/table-connection.ts';
import { afterAll, expect, test } from 'vitest';
import { createFakeClock } from '../../kubernetes/testing/fake-clock.ts';
import { createReadinessView } from './view.ts';

const AGAIN = 60_000;
const core = openCore({ databaseUrl: 'postgres://nobody@127.0.0.1:1/none' }, { maxConnections: 1 });
const connection = connect({ dynamodbEndpoint: 'http://127.0.0.1:1', dynamodbRegion: 'eu-west-2' }, {});

afterAll(async () => {
  connection.close();
  await core.close();
});

test('the time of the next look is never in the past, however the clock is set between looks', async () => {
  const clock = createFakeClock();
  const view = createReadinessView({
    core,
    tables: createServingTables(connection, {}),
    clock,
    againMilliseconds: AGAIN,
  });
  const look = async () => {
    const fact = await view.look(42, new AbortController().signal);
    return fact.kind === 'unread' ? undefined : fact.nextTime - clock.now();
  };
  expect(await look()).toBe(AGAIN);
  await clock.advance(20_000);
  clock.skew(5 * AGAIN);
  expect(await look()).toBe(AGAIN - 20_000);
  clock.skew(-10 * AGAIN);
  expect(await look()).toBe(AGAIN - 20_000);
});

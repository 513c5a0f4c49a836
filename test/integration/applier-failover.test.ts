/** Appliers on tables of three regions whose home region is unreachable for a while. */
import { compositeKey } from '@edge-migration/identity/edge/document/document.ts';
import { type EdgeStore, openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type GlobalTable, HELD, startGlobalTable } from '../cluster/global-table/global-table.ts';
import { regionalDynamodb } from '../cluster/shared.ts';
import { waitFor } from '../cluster/wait.ts';
import { traitsOf } from '../edge/traits.ts';
import { type DynamodbProxy, startDynamodbProxy } from '../faults/dynamodb-proxy.ts';
import { createHarness, type Harness, written } from './applier/harness.ts';

const HOME = 'eu-west-2';
const NEXT = 'us-east-2';
const REGIONS = [HOME, NEXT, 'us-west-2'];
const resources = new AsyncDisposableStack();
const stops: (() => Promise<void>)[] = [];
let global: GlobalTable;
let on: Harness;
/** One applier's endpoint of the home region. */
let way: DynamodbProxy;
let tables: ReadonlyMap<string, EdgeStore>;

beforeAll(async () => {
  global = resources.use(await startGlobalTable({ regions: REGIONS, server: await regionalDynamodb() }));
  on = resources.use(await createHarness(global.region(HOME)));
  way = resources.use(await startDynamodbProxy(global.region(HOME).endpoint));
  tables = new Map(
    REGIONS.map((name) => {
      const { endpoint, region, credentials } = global.region(name);
      const settings = { ...on.tables.settings, dynamodbEndpoint: endpoint, dynamodbRegion: region };
      const edge = openEdge(settings, { credentials });
      resources.defer(() => edge.close());
      return [name, edge];
    }),
  );
});

afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

afterAll(() => resources.disposeAsync());

function start(settings: Readonly<Record<string, string>> = {}): void {
  const others = REGIONS.filter((name) => name !== HOME);
  stops.push(
    on.start({
      EDGE_MIGRATION_DYNAMODB_OTHER_REGIONS: others.join(),
      EDGE_MIGRATION_DYNAMODB_REGION_ENDPOINTS: others.map((name) => `${name}=${global.region(name).endpoint}`).join(),
      EDGE_MIGRATION_REPLICATION_LAG_SECONDS: '0.5',
      // Longer than a busy DynamoDB Local stands still: all regions share it, and one that is silent is left.
      EDGE_MIGRATION_FAILOVER_AFTER_SECONDS: '12',
      EDGE_MIGRATION_FAILOVER_RETURN_SECONDS: '1',
      ...settings,
    }),
  );
}

async function addAda(id: number, plan: string): Promise<void> {
  await on.project(id);
  await on.migrate(id);
  await on.rows({
    environments_identity: [{ id, identifier: 'ada', environment_id: id }],
    environments_trait: [{ id, identity_id: id, trait_key: 'plan', value_type: 'unicode', string_value: plan }],
  });
}

const setPlan = (id: number, plan: string) =>
  on.core(`UPDATE environments_trait SET string_value = '${plan}' WHERE identity_id = ${id}`);

const deleteAda = (id: number) =>
  on.core(
    `DELETE FROM environments_trait WHERE identity_id = ${id}`,
    `DELETE FROM environments_identity WHERE id = ${id}`,
  );

async function traitsIn(region: string, id: number) {
  const document = await tables.get(region)!.identities.get(compositeKey(`key-${id}`, 'ada'));
  return document && traitsOf(document);
}

const everywhere = async (id: number) => Promise.all(REGIONS.map((region) => traitsIn(region, id)));

/** A write by Edge's client there: on the document as that region has it. */
async function setIn(region: string, id: number, name: string, value: string): Promise<void> {
  const { identities } = tables.get(region)!;
  const key = compositeKey(`key-${id}`, 'ada');
  const document = (await identities.get(key))!;
  const trait = { M: { trait_key: { S: name }, trait_value: { S: value } } };
  const set = { identity_traits: { L: [...(document['identity_traits']?.L ?? []), trait] } };
  expect(await identities.updateIfUnchanged(key, { set }, {})).toBe('written');
}

const waits = async (id: number) =>
  Object.keys(await on.parked()).some((subject) => subject.startsWith(`identity.parked.${id}.repeat.`));

/** An event that was checked waits for another check. */
async function waitForLooks(id: number): Promise<void> {
  const due = () => on.parked().then((all) => Object.keys(all).find((name) => name.includes(`.${id}.repeat.`)));
  const first = await waitFor(due, { for: `an event of project ${id} to wait for a recheck` });
  const isAnother = async () => ![undefined, first].includes(await due());
  await waitFor(isAnother, { for: `project ${id} to be rechecked`, timeoutMs: 120_000 });
}

const waitUntilDone = (id: number) =>
  waitFor(async () => !(await waits(id)) && (await on.depth()) === 0 && !(await waits(id)), {
    for: `no event of project ${id} to be under way`,
    timeoutMs: 120_000,
  });

const aways = async () => (await on.reports()).filter(({ goodbye }) => !goodbye).map(({ away }) => away?.region);

const waitForRegion = (region: string | undefined) =>
  waitFor(async () => (await aways()).every((one) => one === region), {
    for: `${region ?? HOME} to be written`,
    timeoutMs: 120_000,
  });

test('an event is not done in a region cut off for longer than the lag until that region has it', async () => {
  start();
  await addAda(1, 'gold');
  await on.putInEdge('key-1', 'ada', { plan: 'free' }, 1);
  await global.settle();
  global.region(NEXT).isolate();
  await on.publish(written(1, 'ada'));
  await waitFor(async () => (await traitsIn(HOME, 1))?.['plan'] === 'gold', { for: 'it to be applied at home' });
  await waitForLooks(1);
  await setIn(NEXT, 1, 'colour', 'blue');
  global.region(NEXT).rejoin();
  await global.settle();
  await waitUntilDone(1);
  await global.settle();
  expect(await everywhere(1)).toEqual(REGIONS.map(() => ({ plan: 'gold', colour: 'blue' })));
});

test('appliers write to another region while the home region is dark, and nothing is lost when it is back', async () => {
  start();
  await addAda(2, 'gold');
  await addAda(3, 'gold');
  global.setDelay(HELD);
  await on.publish(written(2, 'ada'));
  await waitFor(() => traitsIn(HOME, 2), { for: 'ada to be in the home region alone' });
  global.region(HOME).goDark();
  await deleteAda(2);
  await on.publish(written(2, 'ada'), written(3, 'ada'));
  await waitForRegion(NEXT);
  await waitFor(() => traitsIn(NEXT, 3), { for: 'ada to be where is written now', timeoutMs: 120_000 });
  const report = (await on.reports()).find(({ away }) => away !== undefined);
  expect(report?.away).toMatchObject({ region: NEXT, home: HOME, reason: expect.stringContaining(HOME) });
  expect(report?.edgeUnreachableSince).toBeUndefined();
  await waitForLooks(3);

  // It is back, but still cut off.
  global.region(HOME).comeBack();
  await setPlan(3, 'silver');
  await on.publish(written(3, 'ada'));
  await waitFor(async () => (await traitsIn(NEXT, 3))?.['plan'] === 'silver', {
    for: 'it to be applied',
    timeoutMs: 120_000,
  });
  expect(await aways()).toEqual([NEXT]);
  expect(await waits(2)).toBe(true);

  global.setDelay({ minMs: 0, maxMs: 0 });
  await global.settle();
  await waitForRegion(undefined);
  await Promise.all([waitUntilDone(2), waitUntilDone(3)]);
  await global.settle();
  expect(await everywhere(2)).toEqual(REGIONS.map(() => undefined));
  expect(await everywhere(3)).toEqual(REGIONS.map(() => ({ plan: 'silver' })));
});

test('a write in another region whose answer was lost is looked for in the home region, too, before that is written again', async () => {
  const elsewhere = resources.use(await startDynamodbProxy(global.region(NEXT).endpoint));
  let lost = 0;
  const isWrite = ({ operation }: { operation: string }) => !/^(Describe|Get|BatchGet|Query|Scan)/.test(operation);
  // The next attempt finds the document as it is to be, and writes nothing.
  elsewhere.inject((call) => (isWrite(call) && lost++ === 0 ? { kind: 'loseAnswer' } : undefined));
  const endpoints = [`${NEXT}=${elsewhere.endpoint}`, `us-west-2=${global.region('us-west-2').endpoint}`];
  start({ EDGE_MIGRATION_DYNAMODB_REGION_ENDPOINTS: endpoints.join() });
  await addAda(6, 'gold');
  global.setDelay(HELD);
  global.region(HOME).goDark();
  await on.publish(written(6, 'ada'));
  await waitForRegion(NEXT);
  await waitFor(() => traitsIn(NEXT, 6), { for: 'ada to be where is written now', timeoutMs: 120_000 });
  await waitForLooks(6);
  expect(lost).toBeGreaterThan(0);
  global.region(HOME).comeBack();
  global.setDelay({ minMs: 0, maxMs: 0 });
  await global.settle();
  // Where nothing is known to have been written, nothing shows that the regions are together, and it would stay.
  await waitForRegion(undefined);
  await waitUntilDone(6);
  expect(await everywhere(6)).toEqual(REGIONS.map(() => ({ plan: 'gold' })));
});

test('appliers that disagree about which region is reachable still agree with Core in the end', async () => {
  start();
  start({ EDGE_MIGRATION_INSTANCE: 'other', EDGE_MIGRATION_DYNAMODB_ENDPOINT: way.endpoint });
  await addAda(4, 'plan-0');
  await on.putInEdge('key-4', 'ada', { plan: 'none' }, 4);
  await global.settle();
  global.setDelay({ minMs: 0, maxMs: 400 });
  way.inject(() => ({ kind: 'reset' }));
  let count = 0;
  const change = async () => {
    await setPlan(4, `plan-${++count}`);
    await on.publish(written(4, 'ada'));
    return (await aways()).includes(NEXT);
  };
  await waitFor(change, { for: 'one of them to go on elsewhere', timeoutMs: 120_000 });
  for (let more = 0; more < 20; more++) await change();
  way.inject(undefined);
  await waitFor(async () => (await change()) === false, {
    for: 'it to come back',
    timeoutMs: 120_000,
    intervalMs: 200,
  });
  await waitUntilDone(4);
  global.setDelay({ minMs: 0, maxMs: 0 });
  await global.settle();
  expect(await everywhere(4)).toEqual(REGIONS.map(() => ({ plan: `plan-${count}` })));
});

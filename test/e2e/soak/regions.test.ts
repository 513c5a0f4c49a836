import { openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../../cluster/wait.ts';
import { createTables, type TestTables } from '../../edge/tables.ts';
import { createEdgeClients, type EdgeClients } from './edge-clients.ts';
import { isOvertaken } from './excuses.ts';
import type { Violation } from './judgement.ts';
import { createRandom } from './random.ts';
import { findLossesOfClients, type SoakRegions, startRegions } from './regions.ts';

const SECONDS = 6;
/** In each region, however long a busy machine takes for them. */
const WRITES = 50;
/** So few that both regions' clients write each of them repeatedly. */
const SHARED = ['ada', 'bob', 'eve'].map((identifier, index) => ({ id: index + 1, identifier, apiKey: 'key' }));
let regions: SoakRegions;
let tables: TestTables;

beforeAll(async () => {
  regions = await startRegions({ seconds: SECONDS, random: createRandom(1), say: () => {}, hasFailover: false });
  tables = await createTables(regions.home);
  const edge = openEdge(tables.settings, { credentials: regions.home.credentials });
  for (const { id, identifier, apiKey } of SHARED) {
    const names = { composite_key: { S: `${apiKey}_${identifier}` }, environment_api_key: { S: apiKey } };
    const lists = { identity_traits: { L: [] }, identity_features: { L: [] } };
    const item = { ...names, ...lists, identifier: { S: identifier }, django_id: { N: String(id) } };
    await edge.identities.putIfUnchanged(item, undefined);
  }
  edge.close();
  await regions.settle();
});

afterAll(async () => {
  await regions?.[Symbol.asyncDispose]();
});

function createClients(place: 'near' | 'far'): EdgeClients {
  const environments = [{ id: 1, name: 'test', apiKey: 'key' }];
  const sample = { environments, identities: SHARED, traits: [], overrides: [], options: [] };
  return createEdgeClients({
    dynamodb: place === 'near' ? regions.home : regions.other,
    table: tables.settings.identitiesTable,
    population: { current: () => sample, edgeFeature: 9 } as never,
    random: createRandom(place === 'near' ? 2 : 3),
    place,
  });
}

test('two slow and separated regions converge, and every lost write of an Edge client is reported', async () => {
  const clients = [createClients('near'), createClients('far')];
  const ending = new AbortController();
  const running = Promise.all([regions.run(ending.signal), ...clients.map((each) => each.run(15, ending.signal))]);
  const { identitiesTable } = tables.settings;
  const begun = performance.now();
  const isEnough = () =>
    performance.now() - begun > SECONDS * 1000 && clients.every(({ counts }) => counts.written >= WRITES);
  await waitFor(isEnough, { for: 'both regions to be written repeatedly' });
  const areApart = async () => (await regions.compare([identitiesTable])).length > 0;
  await waitFor(areApart, { for: 'a write to be in one region only' });
  ending.abort();
  await running;
  await regions.settle();
  expect(await regions.compare([identitiesTable])).toEqual([]);
  const losses = regions.losses(identitiesTable);
  const documents = new Map((await tables.scan()).map((item) => [item['composite_key']?.S ?? '', item]));
  const lost = clients.flatMap(({ writes }) =>
    [...writes].flatMap(([key, { traits }]): Violation[] => {
      const found = new Map(documents.get(key)?.['identity_traits']?.L?.map(({ M }) => [M?.['trait_key']?.S, M]));
      const isLost = [...traits].some(
        ([name, text]) => name !== 'plan' && found.get(name)?.['trait_value']?.S !== text,
      );
      return isLost ? [{ kind: 'edge write lost', key, detail: '' }] : [];
    }),
  );
  expect(lost.length).toBeGreaterThan(0);
  expect(lost.filter((violation) => !isOvertaken(violation, losses.ofClients))).toEqual([]);
  expect(losses.outside).toEqual([]);
  expect(losses.longestWindowSeconds).toBeGreaterThan(0);
});

test("the loss of one of the product's writes excuses no loss of an Edge client's", () => {
  const write = (identifier: string) => ({
    item: JSON.stringify(['identities', ['composite_key', { S: `key_${identifier}` }]]),
    ...{ region: 'us-east-2', stamp: 1, over: undefined },
  });
  const to = { ...write('ada'), stamp: 2 };
  const lost = [
    { write: { ...write('ada'), isByWay: true }, to, windowMs: 1 },
    { write: write('bob'), to, windowMs: 1 },
  ];
  expect([...findLossesOfClients(lost).keys()]).toEqual(['key_bob']);
});

test('a write by Core never counts as overtaken, nor does a write to a document that no other region has written', () => {
  const losses = new Map([['key_a', []]]);
  for (const kind of ['edge write lost', 'edge row left'] as const) {
    expect(isOvertaken({ kind, key: 'key_a', detail: '' }, losses)).toBe(true);
    expect(isOvertaken({ kind, key: 'key_b', detail: '' }, losses)).toBe(false);
  }
  for (const kind of ['missing', 'differs', 'left over', 'override rows', 'regions differ'] as const) {
    expect(isOvertaken({ kind, key: 'key_a', detail: '' }, losses)).toBe(false);
  }
});

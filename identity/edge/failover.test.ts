import { randomUUID } from 'node:crypto';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import {
  type GlobalTable,
  type GlobalTableOptions,
  HELD,
  startGlobalTable,
} from '@edge-migration/test/cluster/global-table/global-table.ts';
import { dynamodb, regionalDynamodb } from '@edge-migration/test/cluster/shared.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { createTables } from '@edge-migration/test/edge/tables.ts';
import { startDynamodbProxy } from '@edge-migration/test/faults/dynamodb-proxy.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Failover } from './failover.ts';
import { openOtherRegions } from './other-regions.ts';
import { EdgeRefusedError, type EdgeSettings, inRegion, openEdge } from './table/table.ts';
import { documentOf, key } from './testing/document.ts';
import { isRefusal } from './written-elsewhere.ts';

describe('failover on a global table', () => {
  const HOME = 'eu-west-2';
  const NEXT = 'us-east-2';
  const cleanUp = new AsyncDisposableStack();
  const perTest: (() => unknown)[] = [];
  let global: GlobalTable;
  let strong: GlobalTable;
  let legacy: GlobalTable;

  beforeAll(async () => {
    const start = async (options: Pick<GlobalTableOptions, 'consistency' | 'version'> = {}) =>
      cleanUp.use(
        await startGlobalTable({ regions: [HOME, NEXT, 'us-west-2'], server: await regionalDynamodb(), ...options }),
      );
    [global, strong, legacy] = await Promise.all([
      start(),
      start({ consistency: 'STRONG' }),
      start({ version: '2017.11.29' }),
    ]);
  });
  afterEach(async () => {
    for (const table of [global, strong]) for (const name of [HOME, NEXT]) table.region(name).comeBack();
    for (const table of [global, legacy]) table.setDelay({ minMs: 0, maxMs: 0 });
    for (const end of perTest.splice(0)) await end();
  });
  afterAll(() => cleanUp.disposeAsync());

  /** The tables as written by a process that may fail over to the regions of the list. */
  async function open(
    table: GlobalTable,
    list: readonly string[],
    settings = {},
    others: Readonly<Record<string, string>> = {},
  ) {
    const { endpoint, region, credentials } = table.region(HOME);
    const suffix = randomUUID();
    const tables = await createTables(table.region(HOME), suffix);
    // With the same names, but not replicas.
    const strangers = await createTables(await dynamodb(), suffix);
    perTest.push(tables.drop, strangers.drop);
    const named = list.filter((name) => name !== 'sa-east-1');
    const endpoints = Object.fromEntries(named.map((name) => [name, table.region(name).endpoint]));
    const all = {
      ...{ ...tables.settings, dynamodbEndpoint: endpoint, dynamodbRegion: region, dynamodbOtherRegions: list },
      ...{ failoverAfterSeconds: 0.2, failoverReturnSeconds: 1, ...settings },
      dynamodbRegionEndpoints: { ...endpoints, 'sa-east-1': strangers.settings.dynamodbEndpoint, ...others },
    };
    const edge = openEdge(all, { credentials, retryBudgetMs: 100 });
    const stop = new AbortController();
    let refusal: unknown;
    const options = {
      ...{ clock: systemClock, logger: createLogger('test', 'silent'), signal: stop.signal },
      isRefused: () => isRefusal(refusal),
    };
    const regions = openOtherRegions(edge, all, { ...options, credentials });
    const failover = new Failover(edge, regions, all, options);
    await edge.describe();
    const running = failover.run(stop.signal).catch(() => {});
    perTest.unshift(async () => {
      stop.abort();
      await running;
      regions.close();
      edge.close();
    });
    /** Keeps trying, as the applier does. */
    const tryToWrite = async (identifier: string) => {
      const writing = edge.identities.putIfUnchanged(documentOf(identifier, 'gold'), undefined);
      refusal = await writing.then(
        () => undefined,
        (error: unknown) => error,
      );
      return refusal;
    };
    const write = async (identifier: string) => {
      expect(await edge.identities.putIfUnchanged(documentOf(identifier, 'gold'), undefined)).toBe('written');
      failover.wrote(key(identifier));
    };
    const goAway = async () => {
      table.region(HOME).goDark();
      await expect(edge.identities.get(key('ada'))).rejects.toThrow();
      await waitFor(() => failover.away(), { for: 'another region to be written' });
    };
    /** Ada, as in a check that finds nothing to write. */
    const compare = async () => {
      const here = { region: await edge.region(), document: await edge.identities.get(key('ada')) };
      const touched = { traits: 'all', overrides: 'all' } as const;
      return regions.compare({ apiKey: 'key', identifier: 'ada' }, key('ada'), here, touched);
    };
    return { edge, regions, failover, settings: all, write, tryToWrite, goAway, compare };
  }

  /** What a comparison finds once the region answers: a busy one may take longer than a comparison waits for it. */
  const reached = <T extends string>(compare: () => Promise<T>) =>
    waitFor(async () => compare().then((found) => found !== 'unreachable' && found), { for: 'the region to answer' });

  const isHome = (failover: { away(): unknown }) =>
    waitFor(() => failover.away() === undefined, { for: 'the home region to be written again' });

  test('another region is written until the home region has everything written there', async () => {
    const proxy = cleanUp.use(await startDynamodbProxy(global.region(HOME).endpoint));
    const { edge, failover, write, goAway } = await open(global, [NEXT], { dynamodbEndpoint: proxy.endpoint });
    global.setDelay(HELD);
    await goAway();
    expect(failover.away()).toMatchObject({ region: NEXT, home: HOME, reason: expect.stringContaining(HOME) });
    expect(failover.homeSilence()).toBeDefined();
    await write('ada');
    global.region(HOME).comeBack();
    await waitFor(() => failover.homeSilence() === undefined, { for: 'the home region to be seen' });
    const reads = () => proxy.calls.filter(({ operation }) => operation === 'BatchGetItem').length;
    await waitFor(() => reads() > 1, { for: 'what was written to be looked for there' });
    expect(failover.away()).toBeDefined();
    global.setDelay({ minMs: 0, maxMs: 0 });
    await global.settle();
    await isHome(failover);
    expect(await edge.region()).toBe(HOME);
    expect(await edge.identities.get(key('ada'))).toBeDefined();
  });

  test('a document that Edge clients elsewhere, and we, change all the time does not hold up the return to the home region', async () => {
    const { failover, settings, write, goAway } = await open(global, [NEXT]);
    await goAway();
    await write('ada');
    // Longer than between two changes, so that the home region never has the latest.
    global.setDelay({ minMs: 700, maxMs: 900 });
    const stop = new AbortController();
    const changing = changeAlways(settings, () => failover.wrote(key('ada')), stop.signal);
    perTest.unshift(async () => {
      stop.abort();
      await changing;
    });
    global.region(HOME).comeBack();
    await isHome(failover);
  });

  /** As an Edge client of the other region does, or this process. */
  async function changeAlways(settings: EdgeSettings, wrote: () => void, signal: AbortSignal): Promise<void> {
    const client = openEdge(inRegion(settings, NEXT), { credentials: global.region(NEXT).credentials });
    for (let change = 0; !signal.aborted; change++) {
      const present = await client.identities.get(key('ada'));
      await client.identities.putIfUnchanged(documentOf('ada', `plan ${change}`), present);
      wrote();
      await systemClock.sleep(500, signal).catch(() => {});
    }
    client.close();
  }

  test('the silence of the home region is measured from its last answer', async () => {
    const { failover, goAway } = await open(global, [NEXT], { failoverReturnSeconds: 60 });
    await goAway();
    const first = failover.homeSilence()!;
    expect(first.lastedMs).toBeGreaterThanOrEqual(200);
    global.region(HOME).comeBack();
    await waitFor(() => failover.homeSilence() === undefined, { for: 'the home region to be seen' });
    const seen = Date.now();
    global.region(HOME).goDark();
    const again = await waitFor(() => failover.homeSilence(), { for: 'it to be silent again' });
    expect(again.since).toBeGreaterThanOrEqual(seen);
    expect(again.lastedMs).toBeLessThan(Date.now() - first.since);
  });

  test('a region that describes its tables, but neither reads nor writes, is left', async () => {
    const proxy = await startDynamodbProxy(global.region(HOME).endpoint);
    perTest.push(() => proxy.stop());
    const { edge, failover } = await open(global, [NEXT], { dynamodbEndpoint: proxy.endpoint });
    proxy.inject(({ operation }) => (operation.startsWith('Describe') ? undefined : { kind: 'reset' }));
    await expect(edge.identities.get(key('ada'))).rejects.toThrow();
    await edge.describe();
    await waitFor(() => failover.away(), { for: 'another region to be written' });
    expect(failover.homeSilence()).toBeDefined();
  });

  test('tables that are not replicas are skipped, and so is a region that does not answer', async () => {
    const { failover, goAway } = await open(global, ['sa-east-1', NEXT, 'us-west-2']);
    global.region(NEXT).goDark();
    await goAway();
    expect(failover.away()?.region).toBe('us-west-2');
  });

  test('a region that shares its endpoint with another one is skipped', async () => {
    const wrong = { [NEXT]: global.region('us-west-2').endpoint };
    const { failover, goAway } = await open(global, [NEXT, 'us-west-2'], {}, wrong);
    await goAway();
    expect(failover.away()?.region).toBe('us-west-2');
  });

  test('no other region is written if none has a replica', async () => {
    const { edge, failover } = await open(global, ['sa-east-1']);
    global.region(HOME).goDark();
    await expect(edge.identities.get(key('ada'))).rejects.toThrow();
    await waitFor(() => (edge.silence()?.lastedMs ?? 0) > 2500, { for: 'it to be silent for long' });
    expect(failover.away()).toBeUndefined();
  });

  describe('a region that refuses requests', () => {
    const refuses = (operations: RegExp) => (call: { readonly operation: string }) =>
      operations.test(call.operation)
        ? ({ kind: 'answer', status: 400, type: 'AccessDeniedException' } as const)
        : undefined;
    const openBehind = async () => {
      const proxy = await startDynamodbProxy(global.region(NEXT).endpoint);
      perTest.push(() => proxy.stop());
      return { proxy, ...(await open(global, [NEXT], {}, { [NEXT]: proxy.endpoint })) };
    };

    test('a region that refuses writes is left for the home region as soon as that answers', async () => {
      const { proxy, failover, tryToWrite, goAway } = await openBehind();
      proxy.inject(refuses(/^(Put|Update|Delete)Item$|Execute/));
      await goAway();
      expect(await tryToWrite('ada')).toBeInstanceOf(EdgeRefusedError);
      global.region(HOME).comeBack();
      await isHome(failover);
      expect(await tryToWrite('ada')).toBeUndefined();
    });

    test('a region that refuses writes is left for a third one while the home region is dark', async () => {
      const proxy = await startDynamodbProxy(global.region(NEXT).endpoint);
      perTest.push(() => proxy.stop());
      const third = 'us-west-2';
      const settings = { failoverReturnSeconds: 60 };
      const { failover, tryToWrite, goAway } = await open(global, [NEXT, third], settings, { [NEXT]: proxy.endpoint });
      proxy.inject(refuses(/^(Put|Update|Delete)Item$|Execute/));
      await goAway();
      expect(failover.away()?.region).toBe(NEXT);
      expect(await tryToWrite('ada')).toBeInstanceOf(EdgeRefusedError);
      await waitFor(() => failover.away()?.region === third, { for: 'a third region to be written' });
      expect(failover.away()?.reason).toContain('refused writes');
      expect(await tryToWrite('ada')).toBeUndefined();
    });

    test('a region that refuses writes is not left for an unsteady home region that lacks documents', async () => {
      const [homeProxy, proxy] = await Promise.all(
        [HOME, NEXT].map((name) => startDynamodbProxy(global.region(name).endpoint)),
      );
      perTest.push(
        () => homeProxy!.stop(),
        () => proxy!.stop(),
      );
      const settings = { dynamodbEndpoint: homeProxy!.endpoint };
      const { failover, write, tryToWrite, goAway } = await open(global, [NEXT], settings, { [NEXT]: proxy!.endpoint });
      global.setDelay(HELD);
      await goAway();
      await write('ada');
      let asked = 0;
      homeProxy!.inject(({ operation }) =>
        operation === 'GetItem' && asked++ % 2 === 0 ? { kind: 'reset' } : undefined,
      );
      global.region(HOME).comeBack();
      proxy!.inject(refuses(/^(Put|Update|Delete)Item$|Execute/));
      expect(await tryToWrite('bob')).toBeInstanceOf(EdgeRefusedError);
      await waitFor(() => asked > 6, { for: 'the home region to be asked several times' });
      expect(failover.away()?.region).toBe(NEXT);
    });

    test('a region that was written and then refuses reads, too, is left for the home region', async () => {
      const { proxy, failover, write, goAway } = await openBehind();
      await goAway();
      await write('ada');
      proxy.inject(refuses(/^(Get|BatchGet|Put|Update|Delete)Item$|Execute/));
      global.region(HOME).comeBack();
      await isHome(failover);
    });
  });

  test('with strong consistency the same item is read and written in both regions', async () => {
    const { edge, failover, write, goAway } = await open(strong, [NEXT]);
    await write('bob');
    await goAway();
    expect(await edge.identities.get(key('bob'))).toBeDefined();
    await write('eve');
    strong.region(HOME).comeBack();
    await isHome(failover);
    expect(await edge.identities.get(key('eve'))).toBeDefined();
  });

  test('an isolated region differs until it is back, and a dark one cannot be asked', async () => {
    const { edge, compare } = await open(global, [NEXT, 'us-west-2'], { failoverAfterSeconds: 0 });
    global.setDelay(HELD);
    await edge.identities.putIfUnchanged(documentOf('ada', 'gold'), undefined);
    expect(await reached(compare)).toBe('differs');
    global.setDelay({ minMs: 0, maxMs: 0 });
    await global.settle();
    expect(await reached(compare)).toBe('same');
    global.region(NEXT).goDark();
    expect(await compare()).toBe('unreachable');
  });

  test('checks that wait for a region end together with those that it failed to answer', async () => {
    const proxy = cleanUp.use(await startDynamodbProxy(global.region(NEXT).endpoint));
    proxy.inject(() => ({ kind: 'answer', status: 400, type: 'AccessDeniedException' }));
    const { regions } = await open(global, [NEXT], { failoverAfterSeconds: 0 }, { [NEXT]: proxy.endpoint });
    const identifiers = Array.from({ length: 500 }, (_, index) => `ada-${index}`);
    const here = { region: HOME, document: undefined };
    const compare = (identifier: string) =>
      regions.compare({ apiKey: 'key', identifier }, key(identifier), here, { traits: 'all', overrides: 'all' });
    expect(new Set(await Promise.all(identifiers.map(compare)))).toEqual(new Set(['unreachable']));
    // The same number at the same time.
    expect(proxy.calls.length).toBeLessThanOrEqual(2);
  });

  test.each([
    ['which regions there are may not be asked', 'AccessDeniedException', ''],
    ['only the identities are replicated', 'GlobalTableNotFoundException', 'environments-v2'],
  ])('an isolated region also differs if %s', async (_, type, name) => {
    const proxy = cleanUp.use(await startDynamodbProxy(legacy.region(HOME).endpoint));
    proxy.inject(({ operation, body }) =>
      operation === 'DescribeGlobalTable' && String(body['GlobalTableName']).startsWith(name)
        ? { kind: 'answer', status: 400, type }
        : undefined,
    );
    const settings = { dynamodbEndpoint: proxy.endpoint, failoverAfterSeconds: 0 };
    const { edge, compare } = await open(legacy, [NEXT], settings);
    legacy.setDelay(HELD);
    await edge.identities.putIfUnchanged(documentOf('ada', 'gold'), undefined);
    expect(await reached(compare)).toBe('differs');
  });

  test("a document read before the return to the home region is compared with that region's", async () => {
    const { edge, regions } = await open(global, [NEXT], { failoverAfterSeconds: 0 });
    global.setDelay(HELD);
    edge.goTo(NEXT);
    const document = documentOf('ada', 'gold');
    await edge.identities.putIfUnchanged(document, undefined);
    const here = { region: await edge.region(), document };
    edge.goTo(undefined);
    const touched = { traits: new Set(['plan']), overrides: new Set<string>() };
    const compare = () => regions.compare({ apiKey: 'key', identifier: 'ada' }, key('ada'), here, touched);
    expect(await reached(compare)).toBe('differs');
    global.setDelay({ minMs: 0, maxMs: 0 });
    await global.settle();
    expect(await reached(compare)).toBe('same');
  });
});

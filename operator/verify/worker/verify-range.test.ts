import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestProject } from '../../copy/worker/testing/project.ts';
import { createMemoryRecord } from '../../job/memory-record.ts';
import type { WorkerRecord } from '../../job/record.ts';
import { createCheckpointCipher, createCipherKey } from '../checkpoint-cipher.ts';
import { ALL_FINDING_KINDS, countComparedIdentities, countDocuments, type VerifyTotals } from '../totals.ts';
import { createCopiedProject, IDENTITIES, listDocuments, UNMIGRATABLE } from './testing/copied-project.ts';
import { CORRUPTIONS } from './testing/corruptions.ts';
import { VERIFY_SETTINGS, verify } from './testing/verification.ts';

let project: TestProject;

/** A copied project of the caller's own. */
function useCopiedProject(): void {
  beforeAll(async () => {
    project = await createCopiedProject();
  });
  afterAll(() => project[Symbol.asyncDispose]());
}

const found = ({ found }: VerifyTotals) => ALL_FINDING_KINDS.filter((kind) => found[kind] > 0);

describe('a comparison of a project that was just copied', () => {
  useCopiedProject();

  test('finds every identity equal or skipped, with equal sums of both sides, and uses no write units', async () => {
    const before = project.proxy.writes();
    const { totals, finished } = await verify(project);
    expect(finished).toBe(true);
    expect(found(totals)).toEqual([]);
    expect(totals).toMatchObject({ equal: IDENTITIES - UNMIGRATABLE, skipped: UNMIGRATABLE, extra: 0, edgeBorn: 0 });
    expect(countComparedIdentities(totals)).toBe(IDENTITIES);
    expect(countDocuments(totals)).toBe((await project.tables.scan()).length);
    expect(totals.rows).toBe((await project.tables.scan(project.tables.settings.environmentsV2Table)).length);
    expect(totals.coreChecksum).toBe(totals.edgeChecksum);
    expect(totals.coreChecksum).not.toMatch(/^0+$/);
    expect(project.proxy.writes()).toBe(before);
    expect(totals.writeUnits).toBe(0);
  });

  test('records the table of override rows that it has compared, if any', async () => {
    const { environmentsV2Table } = project.tables.settings;
    expect((await verify(project)).overridesTable).toBe(environmentsV2Table);
    const edge = { ...project.stores.edge, overridesTable: undefined, overrideRows: undefined, commit: undefined };
    const record = createMemoryRecord();
    const seal = createCheckpointCipher(createCipherKey());
    const stores = { ...project.stores, edge };
    expect(await verify(project, { stores, record, seal })).not.toHaveProperty('overridesTable');
    expect(await verify(project, { record, seal })).not.toHaveProperty('overridesTable');
  });

  test('has the same sums however it is divided into ranges', async () => {
    const whole = await verify(project);
    const paged = await verify(project, { settings: () => ({ ...VERIFY_SETTINGS, pageSize: 7 }) });
    expect(paged.totals).toEqual({ ...whole.totals, readUnits: paged.totals.readUnits });
  });
});

describe('a damaged document', () => {
  useCopiedProject();

  test.each(CORRUPTIONS)('is found and repaired, without other findings: $name', async (corruption) => {
    const { apply, finds, needsOverride, isNotSummed = false } = corruption;
    const documents = await listDocuments(project);
    const index = CORRUPTIONS.filter((other) => other.needsOverride === needsOverride).indexOf(corruption);
    const { item, environmentId } = documents.at(needsOverride ? index : -1 - index)!;
    await apply(project.stores.edge, item, environmentId);
    const { totals, samples } = await verify(project);
    expect(samples.filter(({ kinds }) => kinds.join() === finds.join())).toHaveLength(1);
    for (const { identifier } of samples) expect(identifier.startsWith(item['identifier']!.S!)).toBe(true);
    expect(totals.coreChecksum === totals.edgeChecksum).toBe(isNotSummed);
    expect(countComparedIdentities(totals)).toBe(IDENTITIES);

    const repaired = await verify(project, { repair: 'Core' });
    // A leftover row may have its override back before it is compared again.
    expect(found(totals)).toEqual(expect.arrayContaining(found(repaired.totals)));
    expect(repaired.totals.repairs).toBeGreaterThan(0);
    expect({ ...repaired.totals.repaired, uuid: 0 }).toEqual({ ...repaired.totals.found, uuid: 0 });
    const after = await verify(project);
    expect(found(after.totals).filter((kind) => kind !== 'uuid')).toEqual([]);
    expect(after.totals.coreChecksum).toBe(after.totals.edgeChecksum);
    expect(after.totals.equal).toBe(IDENTITIES - UNMIGRATABLE);
  });
});

describe('an identity created on Edge', () => {
  useCopiedProject();

  const elsewhere = { identity_traits: { L: [{ M: { trait_key: { S: 'edge' }, trait_value: { N: '1' } } }] } };

  test('is not a finding if Core does not have it', async () => {
    const { item } = (await listDocuments(project))[0]!;
    const identifier = { S: 'only-on-edge' };
    const key = { S: `${item['environment_api_key']!.S}_only-on-edge` };
    const born = {
      ...item,
      identifier,
      composite_key: key,
      django_id: { NULL: true as const },
      identity_features: { L: [] },
    };
    await project.stores.edge.identities.putIfUnchanged(born, undefined);
    const { totals } = await verify(project);
    expect(found(totals)).toEqual([]);
    expect(totals).toMatchObject({ edgeBorn: 1, extra: 0 });
    expect(countDocuments(totals)).toBe((await project.tables.scan()).length);
  });

  test('is a finding only for traits that it lacks if Core has it too', async () => {
    const [one, other] = (await listDocuments(project)).slice(-2) as { item: Item }[];
    const born = (item: Item, traits: Item): Item => ({ ...item, ...traits, django_id: { NULL: true } });
    const more = [...one!.item['identity_traits']!.L!, ...elsewhere.identity_traits.L];
    await project.stores.edge.identities.putIfUnchanged(born(one!.item, { identity_traits: { L: more } }), one!.item);
    expect(found((await verify(project)).totals)).toEqual([]);
    await project.stores.edge.identities.putIfUnchanged(born(other!.item, elsewhere), other!.item);
    const { totals, samples } = await verify(project, { repair: 'Core' });
    expect(totals).toMatchObject({ differing: 1, edgeBorn: 3, repairs: 1 });
    expect(samples[0]!.difference).toMatchObject({ traits: { changed: [], extra: [] } });
    const kept = await project.tables.get(other!.item['composite_key']!.S!);
    expect(JSON.stringify(kept)).toContain('"edge"');
  });
});

describe('an identity that is written between any two comparisons', () => {
  useCopiedProject();

  test('is counted as unsettled, neither equal nor a finding, and not repaired', async () => {
    const { item } = (await listDocuments(project)).at(-1)!;
    const [{ M: trait } = {}] = item['identity_traits']!.L!;
    let writes = 0;
    const write = () =>
      project.sql(
        `UPDATE environments_trait SET value_type = 'unicode', string_value = $3 WHERE identity_id = $1 AND trait_key = $2`,
        [item['django_id']!.N, trait!['trait_key']!.S, `written ${++writes} times`],
      );
    await write();
    const clock = {
      ...systemClock,
      // It waits before each further comparison, and at no other time.
      sleep: async (milliseconds: number, signal?: AbortSignal) => {
        await write();
        await systemClock.sleep(milliseconds, signal);
      },
    };
    const { totals, samples } = await verify(project, { clock, repair: 'Core' });
    expect(writes).toBeGreaterThan(8);
    expect(samples).toEqual([]);
    expect(totals).toMatchObject({ unsettled: 1, differing: 0, repairs: 0, equal: IDENTITIES - UNMIGRATABLE - 1 });
    expect(await project.tables.get(item['composite_key']!.S!)).toEqual(item);
  });
});

describe('an identity that Edge cannot hold as a whole', () => {
  useCopiedProject();

  test('is listed, and the part that replay maintains is compared and repaired', async () => {
    const { item } = (await listDocuments(project)).at(-1)!;
    const [first, second] = item['identity_traits']!.L!.map(({ M }) => M!['trait_key']!.S!);
    const digits = '123456789012345678901234567890123456789';
    await project.sql(
      `UPDATE environments_trait SET value_type = 'unicode', string_value = $3 WHERE identity_id = $1 AND trait_key = $2`,
      [item['django_id']!.N, first, digits],
    );
    const { totals, skipped } = await verify(project);
    expect(found(totals)).toEqual([]);
    expect(totals).toMatchObject({ skipped: UNMIGRATABLE + 1, equal: IDENTITIES - UNMIGRATABLE - 1 });
    expect(skipped.filter(({ identityId }) => String(identityId) === item['django_id']!.N)).toMatchObject([
      { reason: 'NumberTooPrecise' },
    ]);

    const without = item['identity_traits']!.L!.filter(({ M }) => M!['trait_key']!.S !== second);
    const damaged: Item = { ...item, identity_traits: { L: without } };
    expect(await project.stores.edge.identities.putIfUnchanged(damaged, item)).toBe('written');
    const { samples } = await verify(project);
    expect(samples).toMatchObject([
      { kinds: ['differing'], difference: { traits: { missing: [second], changed: [] } } },
    ]);

    const repaired = await verify(project, { repair: 'Core' });
    expect(repaired.totals).toMatchObject({ repairs: 1, repaired: { differing: 1 } });
    const after = (await project.tables.get(item['composite_key']!.S!))!;
    const sort = (one: Item) => one['identity_traits']!.L!.map((trait) => JSON.stringify(trait)).sort();
    expect(sort(after)).toEqual(sort(item));
  });
});

describe('a write in flight to Edge', () => {
  useCopiedProject();

  test.for([
    ['right', 0],
    ['five minutes behind', -300_000],
    ['five minutes ahead', 300_000],
  ] as const)('is not reported as a difference, although the clock of the verify pod is %s', async ([, ahead]) => {
    const { item } = (await listDocuments(project)).at(-1)!;
    const late: Item = { ...item, identity_traits: { L: item['identity_traits']!.L!.slice(1) } };
    expect(await project.stores.edge.identities.putIfUnchanged(late, item)).toBe('written');
    let appliedUntil = Date.now() - 1;
    let saved = false;
    let asked = 0;
    // Earlier writes are in Edge; this one arrives after a few polls of the pod.
    const settings = () => {
      if (saved && ++asked === 3) {
        void project.stores.edge.identities.putIfUnchanged(item, late).then(() => {
          appliedUntil = Date.now();
        });
      }
      return { ...VERIFY_SETTINGS, appliedUntil };
    };
    const { load, save, known } = createMemoryRecord();
    const record: WorkerRecord = {
      load,
      known,
      async save(texts, signal) {
        await save(texts, signal);
        saved ||= JSON.parse(texts['checkpoint']!).candidates > 0;
      },
    };
    const clock = { ...systemClock, now: () => Date.now() + ahead };
    const { totals } = await verify(project, { settings, record, clock });
    expect(found(totals)).toEqual([]);
    expect(asked).toBeGreaterThanOrEqual(3);
  });
});

describe('once the replay window has closed', () => {
  useCopiedProject();

  test('a repair only inserts what Edge lacks, without changing or removing anything', async () => {
    const documents = (await listDocuments(project)).slice(-CORRUPTIONS.length);
    for (const [index, { apply, needsOverride }] of CORRUPTIONS.entries()) {
      const { item, environmentId } = documents[index]!;
      if (!needsOverride) await apply(project.stores.edge, item, environmentId);
    }
    const before = new Map((await project.tables.scan()).map((item) => [item['composite_key']!.S!, item]));
    const { totals } = await verify(project, { repair: 'Edge' });
    const after = new Map((await project.tables.scan()).map((item) => [item['composite_key']!.S!, item]));
    expect(totals.repaired).toEqual({ missing: 1, extra: 0, differing: 0, malformed: 0, rows: 0, regions: 0, uuid: 0 });
    for (const [key, item] of before) expect(after.get(key)).toEqual(item);
    expect(after.size).toBe(before.size + 1);
  });
});

describe('an environment with an empty key', () => {
  useCopiedProject();

  test('has its identities listed by copy and comparison, while others are compared as usual', async () => {
    const [environment] = project.stores.project.environments;
    await project.sql(`UPDATE environments_environment SET api_key = '' WHERE id = $1`, [environment!.id]);
    const counts = await project.sql('SELECT count(*)::int AS n FROM environments_identity WHERE environment_id = $1', [
      environment!.id,
    ]);
    const changed = project.stores.project.environments.map((each) =>
      each.id === environment!.id ? { ...each, apiKey: '' } : each,
    );
    const renamed = { ...project.stores.project, environments: changed };
    const copied = await project.copy({ project: renamed });
    expect(copied.positions[0]!.totals.skippedByReason['EnvironmentKeyEmpty']).toBe(counts[0]!['n']);
    const { totals, finished } = await verify(project, { project: renamed });
    expect(finished).toBe(true);
    expect(totals.skipped).toBeGreaterThanOrEqual(counts[0]!['n'] as number);
    expect(totals.missing).toBe(0);
  });
});

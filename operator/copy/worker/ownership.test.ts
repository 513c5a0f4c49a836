/** Two projects with environment keys `<key>` and `<key>_b`: identities `b_x` and `x` have the same key in Edge. */

import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import { execute, insertRows } from '@edge-migration/identity/fixtures/core-rows.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkerStores, type WorkerStores } from '../../job/stores.ts';
import { verify } from '../../verify/worker/testing/verification.ts';
import { createPagePlanner } from './page-planner.ts';
import { createPageWriter } from './page-writer.ts';
import { countsOf, createTestProject, type TestProject } from './testing/project.ts';
import { createCopyRecord } from './testing/record.ts';

const OTHER_PROJECT = 990_001;
const [OURS, THEIRS] = [980_001, 980_002];

let project: TestProject;
let other: WorkerStores;
let key: string;

beforeAll(async () => {
  project = await createTestProject({ identities: 20 });
  const [environment] = project.stores.project.environments;
  key = environment!.apiKey;
  const { organisation } = project.stores.project;
  await insertRows(project.databaseUrl, {
    projects_project: [{ id: OTHER_PROJECT, organisation_id: organisation.id }],
    environments_environment: [{ id: OTHER_PROJECT, project_id: OTHER_PROJECT, api_key: `${key}_b` }],
    environments_identity: [
      { id: OURS, identifier: 'b_x', environment_id: environment!.id },
      { id: THEIRS, identifier: 'x', environment_id: OTHER_PROJECT },
    ],
    environments_trait: [OURS, THEIRS].map((id) => ({
      id,
      identity_id: id,
      trait_key: 'of',
      value_type: 'int',
      integer_value: id,
    })),
  });
  const settings = { ...project.tables.settings, databaseUrl: project.databaseUrl, projectId: OTHER_PROJECT };
  const retryContext = { clock: systemClock, retryBudgetMs: 20_000, signal: new AbortController().signal };
  other = await openWorkerStores({ ...settings, maxWriteUnitsPerSecond: 1_000_000 }, retryContext);
});
afterAll(async () => {
  await other?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const document = () => project.tables.get(`${key}_b_x`);
const everything = async () =>
  (await project.tables.scan()).toSorted((a, b) => (a['composite_key']!.S! < b['composite_key']!.S! ? -1 : 1));

/** Copies the other project. */
const copyOther = (onConflict: 'KeepEdge' | 'CoreWins' = 'KeepEdge') =>
  project.copy({
    stores: other,
    project: other.project,
    range: { rangeId: 0, segments: [{ environmentId: OTHER_PROJECT, after: null, until: null }] },
    handlePage: createPageWriter(other),
    settings: () => ({ ...project.settings, onConflict }),
  });

describe('two projects with one key', () => {
  test('the first copy takes the key, the second lists its identity, and neither writes when repeated', async () => {
    expect(countsOf(await project.copy())).toMatchObject({ skipped: 0 });
    const first = await everything();
    const record = createCopyRecord();
    for (const onConflict of ['KeepEdge', 'CoreWins', 'KeepEdge'] as const) {
      const theirs = await copyOther(onConflict);
      expect(countsOf(theirs)).toMatchObject({ read: 1, skipped: 1, replaced: 0, merged: 0, kept: 0, differing: 0 });
      expect(theirs.positions[0]!.totals.skippedByReason).toEqual({ KeyTakenByAnother: 1 });
      const settings = { ...project.settings, onConflict };
      const counts = countsOf(await project.copy({ record, settings: () => settings }));
      expect(counts).toMatchObject({ unchanged: counts.read, skipped: 0 });
    }
    expect(await everything()).toEqual(first);
  });

  test('the report names the identity and the reason, but no key', async () => {
    const record = createCopyRecord();
    await project.copy({
      ...{ stores: other, project: other.project, record, handlePage: createPageWriter(other) },
      range: { rangeId: 0, segments: [{ environmentId: OTHER_PROJECT, after: null, until: null }] },
    });
    const text = record.current()!.skipped;
    expect(JSON.parse(text)).toMatchObject({ identityId: THEIRS, reason: 'KeyTakenByAnother' });
    expect(text).not.toContain(key);
  });

  test('a plan foresees the conflict and counts no write for it', async () => {
    const { positions } = await project.copy({
      ...{ stores: other, project: other.project, handlePage: createPagePlanner(other, other.tables) },
      range: { rangeId: 0, segments: [{ environmentId: OTHER_PROJECT, after: null, until: null }] },
    });
    expect(positions[0]!.totals.skippedByReason).toEqual({ KeyTakenByAnother: 1 });
    expect(positions[0]!.totals.counts).toMatchObject({ skipped: 1, replaced: 0, writeUnits: 0 });
  });

  test('a comparison with repair of either project lists the conflict and never writes', async () => {
    const before = await everything();
    for (let run = 0; run < 2; run++) {
      const theirs = await verify({ stores: other }, { repair: 'Core' });
      expect(theirs.totals).toMatchObject({
        skipped: 1,
        skippedByReason: { KeyTakenByAnother: 1 },
        repairs: 0,
        extra: 0,
      });
      expect(theirs.totals.found).toMatchObject({ missing: 0, extra: 0, differing: 0, malformed: 0 });
      expect(theirs.totals.coreChecksum).toBe(theirs.totals.edgeChecksum);
      expect(theirs.skipped).toEqual([expect.objectContaining({ identityId: THEIRS, reason: 'KeyTakenByAnother' })]);
      const own = await verify(project, { repair: 'Core' });
      expect(own.totals).toMatchObject({ repairs: 0, skipped: 0, equal: own.totals.matched });
    }
    expect(await everything()).toEqual(before);
  });

  test('a copy of one project keeps what Edge clients wrote to the other', async () => {
    const found = (await document()) as Item;
    const identity_traits = { L: [{ M: { trait_key: { S: 'edge' }, trait_value: { S: 'own' } } }] };
    await project.stores.edge.identities.putIfUnchanged({ ...found, identity_traits }, found);
    await copyOther('CoreWins');
    expect(await document()).toEqual({ ...found, identity_traits });
  });

  test('comparisons with repair give the key to the second identity once Core has deleted the first', async () => {
    await execute(
      project.databaseUrl,
      `DELETE FROM environments_trait WHERE identity_id = ${OURS}`,
      `DELETE FROM environments_identity WHERE id = ${OURS}`,
    );
    const before = await everything();
    expect((await verify({ stores: other }, { repair: 'Core' })).totals).toMatchObject({ skipped: 1, repairs: 0 });
    expect(await everything()).toEqual(before);
    const own = await verify(project, { repair: 'Core' });
    expect(own.totals).toMatchObject({ repairs: 1, found: { extra: 1 }, repaired: { extra: 1 } });
    expect(await document()).toBeUndefined();
    const theirs = await verify({ stores: other }, { repair: 'Core' });
    expect(theirs.totals).toMatchObject({ skipped: 0, repairs: 1, repaired: { missing: 1 } });
    const after = await everything();
    expect(after.find(({ composite_key }) => composite_key?.S === `${key}_b_x`)).toMatchObject({
      django_id: { N: String(THEIRS) },
      environment_api_key: { S: `${key}_b` },
      identifier: { S: 'x' },
    });
    for (const stores of [project.stores, other]) {
      expect((await verify({ stores }, { repair: 'Core' })).totals).toMatchObject({ skipped: 0, repairs: 0 });
    }
    expect(await everything()).toEqual(after);
  });
});

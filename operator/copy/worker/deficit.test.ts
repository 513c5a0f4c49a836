import type { CoreProject } from '@edge-migration/identity/core/projects.ts';
import { driftCollation } from '@edge-migration/test/core/drift.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WorkerError } from '../../job/failure.ts';
import { describePlanned, planRanges, type Range, type Segment } from '../ranges.ts';
import { createPageWriter } from './page-writer.ts';
import { countsOf, createTestProject, EQUAL, type TestProject } from './testing/project.ts';
import { createCopyRecord } from './testing/record.ts';

const signal = new AbortController().signal;
let project: TestProject;
let environmentId: number;

beforeEach(async () => {
  project = await createTestProject({ identities: 300 });
  environmentId = project.stores.project.environments[0]!.id;
  await project.sql(
    `INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits)
     SELECT CASE n % 3 WHEN 0 THEN 'a' WHEN 1 THEN 'B' ELSE 'c' END || n, now(), $1, '{}' FROM generate_series(1, 900) n`,
    [environmentId],
  );
});
afterEach(() => project[Symbol.asyncDispose]());

/** The whole project as the operator plans it. */
async function plan(): Promise<Range> {
  const { core, project: found } = project.stores;
  const newestId = await core.identities.newestId(signal);
  const ranges = await planRanges(core, found.environments, 1, signal);
  const planned = describePlanned(
    ranges.flatMap(({ bySegment }) => bySegment),
    newestId,
  );
  return { rangeId: 0, segments: ranges.flatMap(({ segments }) => segments), planned };
}

test('a copy fails if it reads fewer identities than Core has, because the index misses some', async () => {
  const range = await plan();
  await driftCollation(project.databaseUrl);
  const record = createCopyRecord();
  const failed = await project.copy({ range, record }).catch((error: unknown) => error);
  expect(failed).toMatchObject({ name: 'WorkerError', disposition: 'transient' });
  expect(String(failed)).toMatch(/twice, \d+ identities were read where Core has 1200.+REINDEX/s);
  expect(record.current()?.checkpoint.finished).toBe(false);

  await project.sql('REINDEX TABLE environments_identity');
  const repeated = await project.copy({ range, record });
  expect(repeated.finished).toBe(true);
  expect(countsOf(repeated).read).toBe(1200);
  expect(await project.compare()).toEqual(EQUAL);
});

test('identities deleted since the plan account for those not read, and new ones hide no missed ones', async () => {
  const range = await plan();
  await project.sql(`DELETE FROM environments_identity WHERE identifier LIKE 'B%' AND environment_id = $1`, [
    environmentId,
  ]);
  await project.sql(
    `INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits)
     SELECT 'new' || n, now(), $1, '{}' FROM generate_series(1, 500) n`,
    [environmentId],
  );
  const checkpoint = await project.copy({ range });
  expect(checkpoint.finished).toBe(true);
  expect(countsOf(checkpoint)).toMatchObject({ read: 1400, known: 900 });
});

test('identities that Core kept of a deleted environment are neither copied nor missed', async () => {
  const range = await plan();
  await project.sql('UPDATE environments_environment SET deleted_at = now() WHERE id = $1', [environmentId]);
  const { project: before } = project.stores;
  const checkpoint = await project.copy({
    range,
    project: { ...before, environments: before.environments.filter(({ id }) => id !== environmentId) },
  });
  expect(checkpoint.finished).toBe(true);
  expect(await project.compare()).toEqual(EQUAL);
});

/** Writes pages; once the first page is done, gives the last identity an identifier that sorts before all others. */
function renameBehind() {
  const handlePage = createPageWriter(project.stores);
  let isRenamed = false;
  const renaming: typeof handlePage = async (page, settings, signal) => {
    const handled = await handlePage(page, settings, signal);
    if (page.environment.id === environmentId && !isRenamed) {
      isRenamed = true;
      await project.sql(
        `UPDATE environments_identity SET identifier =
           (SELECT min(identifier) || '!' FROM environments_identity WHERE environment_id = $1)
         WHERE id = (SELECT id FROM environments_identity WHERE environment_id = $1 ORDER BY identifier DESC LIMIT 1)`,
        [environmentId],
      );
    }
    return handled;
  };
  return { handlePage: renaming, isRenamed: () => isRenamed };
}

test('an identity whose new identifier is behind the copy is found by reading the range again', async () => {
  const range = await plan();
  const { handlePage, isRenamed } = renameBehind();
  const checkpoint = await project.copy({ range, handlePage });
  expect(isRenamed()).toBe(true);
  expect(checkpoint.finished).toBe(true);
  expect(countsOf(checkpoint).read).toBe(1200);
  expect(await project.compare()).toEqual(EQUAL);
});

/** Writes this many pages. */
function killAfter(count: number) {
  const handlePage = createPageWriter(project.stores);
  let pages = 0;
  const killed: typeof handlePage = async (...request) => {
    if (++pages > count) throw new WorkerError('rejected', 'killed');
    return handlePage(...request);
  };
  return killed;
}

/** Makes a change after the first page of the environment. */
function afterFirstPage(change: () => Promise<unknown>) {
  const handlePage = createPageWriter(project.stores);
  let isChanged = false;
  const changing: typeof handlePage = async (page, settings, signal) => {
    const handled = await handlePage(page, settings, signal);
    if (page.environment.id === environmentId && !isChanged) {
      isChanged = true;
      await change();
    }
    return handled;
  };
  return changing;
}

describe('an identity that is missed in an environment in which another one is deleted', () => {
  const place = (direction: 'ASC' | 'DESC', offset = 0) =>
    `(SELECT id FROM environments_identity WHERE environment_id = ${environmentId}
       ORDER BY identifier ${direction} LIMIT 1 OFFSET ${offset})`;
  /** Deletes the first one, which was read; gives the last one, which was not, an identifier behind the copy. */
  const deleteAndRename = () =>
    project.sql(
      `BEGIN; SET LOCAL session_replication_role = 'replica';
       UPDATE environments_identity SET identifier =
         (SELECT min(identifier) || '!' FROM environments_identity WHERE environment_id = ${environmentId})
        WHERE id = ${place('DESC')};
       DELETE FROM environments_identity WHERE id = ${place('ASC')}; COMMIT`,
    );
  const slowly = () => ({ ...project.settings, pageSize: 100 });

  test('is found by the same pod', async () => {
    const range = await plan();
    const checkpoint = await project.copy({ range, settings: slowly, handlePage: afterFirstPage(deleteAndRename) });
    expect(checkpoint.finished).toBe(true);
    expect((await project.compare()).missing).toEqual([]);
  });

  test('is found after a pod was killed', async () => {
    const range = await plan();
    const record = createCopyRecord();
    await project.copy({ range, record, settings: slowly, handlePage: killAfter(2) }).catch(() => {});
    await deleteAndRename();
    const checkpoint = await project.copy({ range, record, settings: slowly });
    expect(checkpoint.finished).toBe(true);
    expect((await project.compare()).missing).toEqual([]);
  });
});

test('identities renamed into one environment hide none that the index misses in another one', async () => {
  const range = await plan();
  const isLast = (segment: Segment) => Number(segment.environmentId === environmentId);
  const segments = range.segments.map((segment, index) => ({ segment, identities: range.planned!.bySegment![index]! }));
  segments.sort((a, b) => isLast(a.segment) - isLast(b.segment));
  const [other] = segments;
  // As if more had been renamed into the first environment than the index misses in the last one.
  other!.identities -= 1000;
  const bySegment = segments.map(({ identities }) => Math.max(0, identities));
  const planned = { ...range.planned!, identities: 0, bySegment };
  await driftCollation(project.databaseUrl);
  const failed = await project
    .copy({ range: { rangeId: 0, segments: segments.map(({ segment }) => segment), planned } })
    .catch((error: unknown) => error);
  expect(failed).toMatchObject({ name: 'WorkerError', disposition: 'transient' });
});

test('a range without deleted identities is not read again after a pod was killed', async () => {
  const range = await plan();
  const record = createCopyRecord();
  const settings = () => ({ ...project.settings, pageSize: 100 });
  await project.copy({ range, record, settings, handlePage: killAfter(2) }).catch(() => {});
  const before = record.current()?.checkpoint.positions[0]?.totals.counts.read ?? 0;
  let identities = 0;
  const handlePage = createPageWriter(project.stores);
  const counting: typeof handlePage = async (...request) => {
    const handled = await handlePage(...request);
    identities += handled.results.length;
    return handled;
  };
  await project.copy({ range, record, settings, handlePage: counting });
  expect(before).toBeGreaterThan(0);
  expect(before + identities).toBe(1200);
});

describe('identities that were read from an environment before it was deleted', () => {
  async function removeOther(): Promise<CoreProject> {
    const { project: before } = project.stores;
    const other = before.environments.find(({ id }) => id !== environmentId)?.id;
    await project.sql('UPDATE environments_environment SET deleted_at = now() WHERE id = $1', [other]);
    return { ...before, environments: before.environments.filter(({ id }) => id !== other) };
  }

  /** The environment in which one is missed comes last. */
  async function planInOrder(): Promise<Range> {
    const range = await plan();
    const isLast = (segment: Segment) => Number(segment.environmentId === environmentId);
    return { ...range, segments: range.segments.toSorted((a, b) => isLast(a) - isLast(b)) };
  }

  test('do not make up for missed identities of another one after a pod was killed', async () => {
    const range = await planInOrder();
    const record = createCopyRecord();
    const settings = () => ({ ...project.settings, pageSize: 100 });
    await project.copy({ range, record, settings, handlePage: killAfter(1) }).catch(() => {});
    const left = await removeOther();
    const { handlePage, isRenamed } = renameBehind();
    const checkpoint = await project.copy({ range, record, settings, project: left, handlePage });
    expect(isRenamed()).toBe(true);
    expect(checkpoint.finished).toBe(true);
    // Documents of the deleted environment no longer concern this copy.
    expect((await project.compare()).missing).toEqual([]);
  });

  test('do not make up for them if only the identities are deleted and the environment stays', async () => {
    const range = await planInOrder();
    const { handlePage, isRenamed } = renameBehind();
    let hasDeleted = false;
    const deleting: typeof handlePage = async (...request) => {
      const handled = await handlePage(...request);
      if (isRenamed() && !hasDeleted) await deleteIdentitiesOfOthers();
      hasDeleted = isRenamed();
      return handled;
    };
    const checkpoint = await project.copy({ range, handlePage: deleting });
    expect(hasDeleted).toBe(true);
    expect(checkpoint.finished).toBe(true);
    expect((await project.compare()).missing).toEqual([]);
  });

  /** Without their traits and overrides, which nothing reads any more. */
  const deleteIdentitiesOfOthers = () =>
    project.sql(
      `BEGIN; SET LOCAL session_replication_role = 'replica';
       DELETE FROM environments_identity WHERE environment_id <> ${environmentId}; COMMIT`,
    );
});

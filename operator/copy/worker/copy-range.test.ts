import { UnreachableError } from '@edge-migration/kubernetes/errors.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WorkerRecord } from '../../job/record.ts';
import { createPagePlanner } from './page-planner.ts';
import { createPageWriter } from './page-writer.ts';
import { countInserts, countsOf, createTestProject, EQUAL, type TestProject } from './testing/project.ts';
import { createCopyRecord } from './testing/record.ts';

let project: TestProject;

beforeEach(async () => {
  project = await createTestProject({ identities: 300, unmigratable: 0.02 });
});

afterEach(() => project[Symbol.asyncDispose]());

/** The record of a worker that dies right after, or right before, saving its page number `saves`. */
function dieAfter(saves: number, inner: WorkerRecord, when: 'afterSave' | 'beforeSave'): WorkerRecord {
  let left = saves;
  return {
    ...inner,
    async save(saved, signal) {
      if (--left > 0 || when === 'afterSave') await inner.save(saved, signal);
      if (left <= 0) throw new Error('killed');
    },
  };
}

describe('a copy', () => {
  test('writes exactly the identities of the project to Edge, as Flagsmith would', async () => {
    const checkpoint = await project.copy();
    expect(checkpoint.finished).toBe(true);
    expect(await project.compare()).toEqual(EQUAL);
    const { read, inserted, skipped, unchanged } = countsOf(checkpoint);
    expect({ read, inserted, skipped, unchanged }).toEqual({ read: 300, inserted: 294, skipped: 6, unchanged: 0 });
  });

  test('writes a row for local evaluation of every override', async () => {
    await project.copy();
    const overrides = (await project.tables.scan()).flatMap((item) =>
      (item['identity_features']?.L ?? []).map(
        (element) => `identity_override:${element.M?.['feature']?.M?.['id']?.N}:${item['identity_uuid']?.S}`,
      ),
    );
    const rows = await project.tables.scan(project.tables.settings.environmentsV2Table);
    expect(overrides.length).toBeGreaterThan(0);
    expect(rows.map((row) => row['document_key']?.S).sort()).toEqual(overrides.sort());
  });

  describe('that was started without a table of override rows', () => {
    const withoutRows = () => {
      const { stores } = project;
      const rowless = {
        ...stores,
        edge: { ...stores.edge, overridesTable: undefined, overrideRows: undefined, commit: undefined },
      };
      return { stores: rowless, handlePage: createPageWriter(rowless) };
    };
    const listRows = async () => {
      const rows = await project.tables.scan(project.tables.settings.environmentsV2Table);
      return rows.map((row) => row['document_key']?.S).sort();
    };
    const listOverrides = async () =>
      (await project.tables.scan())
        .flatMap((item) =>
          (item['identity_features']?.L ?? []).map(
            (element) => `identity_override:${element.M?.['feature']?.M?.['id']?.N}:${item['identity_uuid']?.S}`,
          ),
        )
        .sort();

    test('records the table that has all rows of a range, or none if an earlier worker had none', async () => {
      const { environmentsV2Table } = project.tables.settings;
      const record = createCopyRecord();
      const first = { ...withoutRows(), record: dieAfter(2, record, 'afterSave') };
      await expect(project.copy(first)).rejects.toThrow('killed');
      expect(await project.copy({ record })).not.toHaveProperty('overridesTable');
      expect((await project.copy()).overridesTable).toBe(environmentsV2Table);
      expect(await project.copy(withoutRows())).not.toHaveProperty('overridesTable');
    });

    test('writes the rows when it is repeated, even those of documents that it leaves unchanged', async () => {
      await project.copy(withoutRows());
      expect(await listRows()).toEqual([]);
      const changed = await project.sql(
        `UPDATE environments_trait SET string_value = 'changed', value_type = 'unicode'
          WHERE identity_id IN (SELECT identity_id FROM features_featurestate WHERE identity_id IS NOT NULL) RETURNING id`,
      );
      expect(changed.length).toBeGreaterThan(0);
      const again = await project.copy();
      expect(countsOf(again).kept).toBeGreaterThan(0);
      expect(await listRows()).toEqual(await listOverrides());
      expect(again.overridesTable).toBe(project.tables.settings.environmentsV2Table);
    });
  });

  test('reports identities that Edge cannot hold by id and reason, without identifiers or values', async () => {
    const record = createCopyRecord();
    const checkpoint = await project.copy({ record });
    const lines = record
      .current()!
      .skipped.trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(6);
    for (const line of lines) {
      expect(Object.keys(line).sort()).toEqual(['detail', 'environmentId', 'identityId', 'reason']);
      const [identity] = await project.sql('SELECT identifier FROM environments_identity WHERE id = $1', [
        line.identityId,
      ]);
      if (identity?.['identifier'] !== '') expect(JSON.stringify(line)).not.toContain(identity?.['identifier']);
    }
    const byReason = checkpoint.positions[0]!.totals.skippedByReason;
    expect(Object.values(byReason).reduce((sum, count) => sum + count, 0)).toBe(6);
  });

  test('writes nothing the second time', async () => {
    await project.copy();
    const before = project.proxy.writes();
    const checkpoint = await project.copy();
    expect(countsOf(checkpoint)).toMatchObject({ inserted: 0, unchanged: 294, differing: 0 });
    expect(project.proxy.writes() - before).toBe(0);
    expect(await project.compare()).toEqual(EQUAL);
  });

  test('reads before it inserts once a few inserts have met existing documents', async () => {
    const [present, ...others] = project.wholeProject.segments;
    await project.copy({ range: { rangeId: 0, segments: [present!] } });
    // The first segment is absent, so that the copy inserts without reading when it reaches the second.
    const range = { rangeId: 0, segments: [...others, present!] };
    const checkpoint = await project.copy({ range });
    const { inserted, unchanged } = countsOf(checkpoint);
    expect(inserted).toBeGreaterThan(0);
    expect(unchanged).toBeGreaterThan(100);
    const failed = [...countInserts(project.proxy).values()].filter((times) => times > 1).length;
    expect(failed).toBeGreaterThan(0);
    // A whole page may be in flight before the first answer.
    expect(failed).toBeLessThanOrEqual(project.settings.pageSize);
    expect(await project.compare()).toEqual(EQUAL);
  });

  test('inserts without reading once documents are absent again', async () => {
    const [present] = project.wholeProject.segments;
    await project.copy({ range: { rangeId: 0, segments: [present!] } });
    const reads = () => project.proxy.calls.filter(({ operation }) => operation === 'BatchGetItem').length;
    const before = reads();
    await project.copy({ settings: () => ({ ...project.settings, pageSize: 25 }) });
    expect(await project.compare()).toEqual(EQUAL);
    const pages = Math.ceil(300 / 25);
    expect(reads() - before).toBeGreaterThan(0);
    expect(reads() - before).toBeLessThan(pages);
  });

  test('counts what it would do, without writing, when it only plans', async () => {
    await project.copy({ range: { rangeId: 0, segments: [project.wholeProject.segments[0]!] } });
    const before = project.proxy.writes();
    const { region, identities, overrideRows } = project.stores.tables;
    const replica = { region: 'us-east-2', status: 'ACTIVE' };
    const replication = { kind: 'GlobalTable', consistency: 'Eventual', version: '2019.11.21' } as const;
    const global = { ...identities, replication: { ...replication, replicas: [replica], witness: undefined } };
    const handlePage = createPagePlanner(project.stores, { region, identities: global, overrideRows });
    const checkpoint = await project.copy({ handlePage });
    const planned = countsOf(checkpoint);
    expect(project.proxy.writes()).toBe(before);
    const { plannedUnits } = checkpoint.positions[0]!.totals;
    expect(plannedUnits[`us-east-2/${identities.table}`]).toBe(plannedUnits[`${region}/${identities.table}`]);
    const home = Object.entries(plannedUnits).filter(([place]) => place.startsWith(`${region}/`));
    expect(home.reduce((sum, [, units]) => sum + units, 0)).toBe(planned.writeUnits);
    const copied = countsOf(await project.copy());
    expect(planned).toMatchObject({ read: 300, inserted: copied.inserted, unchanged: copied.unchanged, skipped: 6 });
    expect(planned.writeUnits).toBeGreaterThanOrEqual(3 * planned.inserted);
    expect(planned.documentBytes).toBe(copied.documentBytes);
  });
});

describe('a worker that dies', () => {
  test.each(['afterSave', 'beforeSave'] as const)(
    'at any page (%s) repeats at most that page and counts nothing twice',
    async (when) => {
      const record = createCopyRecord();
      let deaths = 0;
      for (;;) {
        try {
          await project.copy({ record: dieAfter(when === 'afterSave' ? 2 : 3, record, when) });
          break;
        } catch (error) {
          expect(error).toMatchObject({ message: 'killed' });
          if (++deaths > 60) throw error;
          if (record.current()?.checkpoint.finished) break;
        }
      }
      expect(deaths).toBeGreaterThan(3);
      expect(await project.compare()).toEqual(EQUAL);
      const { read, inserted, unchanged, skipped } = countsOf(record.current()!.checkpoint);
      expect({ read, written: inserted + unchanged, skipped }).toEqual({ read: 300, written: 294, skipped: 6 });
      expect(record.current()!.skipped.trim().split('\n')).toHaveLength(6);
      // Every death repeats at most the page that was not saved.
      const repeated = [...countInserts(project.proxy).values()].reduce((sum, times) => sum + times - 1, 0);
      expect(repeated).toBeLessThanOrEqual(when === 'afterSave' ? 0 : deaths * project.settings.pageSize);
    },
  );

  test('is resumed at its position even if the last identity was deleted meanwhile', async () => {
    const record = createCopyRecord();
    await expect(project.copy({ record: dieAfter(4, record, 'afterSave') })).rejects.toThrow('killed');
    const last = record.current()!.checkpoint.positions[0]!.identity!.id;
    for (const table of ['environments_trait', 'features_featurestate']) {
      await project.sql(`DELETE FROM ${table} WHERE identity_id = $1`, [last]);
    }
    await project.sql('DELETE FROM environments_identity WHERE id = $1', [last]);
    const { positions, finished } = await project.copy({ record });
    expect(finished).toBe(true);
    expect(positions[0]!.totals.counts.read).toBe(299);
    // Replay handles the document of the deleted one.
    const { extra, ...rest } = await project.compare();
    expect(rest).toEqual({ missing: [], different: [] });
    expect(extra).toHaveLength(1);
  });
});

describe('a copy with failing stores', () => {
  test('completes although DynamoDB throttles, fails, resets connections and loses answers', async () => {
    let call = 0;
    project.proxy.inject(({ operation }) => {
      if (operation !== 'BatchExecuteStatement') return undefined;
      switch (call++ % 7) {
        case 0:
          return { kind: 'throttleStatements', indexes: [0, 2, 9] };
        case 1:
          return { kind: 'answer', status: 500, type: 'InternalServerError' };
        case 2:
          return { kind: 'reset' };
        case 3:
          return { kind: 'loseAnswer' };
        case 4:
          return { kind: 'throttle' };
        default:
          return undefined;
      }
    });
    const checkpoint = await project.copy();
    expect(await project.compare()).toEqual(EQUAL);
    const { inserted, unchanged, throttled } = countsOf(checkpoint);
    expect(inserted + unchanged).toBe(294);
    expect(throttled).toBeGreaterThan(0);
  });

  describe('finishes only when no insert can arrive late', () => {
    const lateWriteMs = 1500;
    const timed = async (copy: () => Promise<{ finished: boolean }>) => {
      const started = performance.now();
      expect((await copy()).finished).toBe(true);
      return performance.now() - started;
    };

    test('if one of its own was not answered', async () => {
      let lost = 0;
      project.proxy.inject(({ operation }) =>
        operation === 'BatchExecuteStatement' && lost++ === 0 ? { kind: 'loseAnswer' } : undefined,
      );
      expect(await timed(() => project.copy({ lateWriteMs }))).toBeGreaterThan(lateWriteMs);
    });

    test.each([1, 3])('if a previous worker was killed at page %i', async (page) => {
      const record = createCopyRecord();
      // The first save announces the worker.
      const dying = dieAfter(page + 1, record, 'beforeSave');
      await expect(project.copy({ record: dying, lateWriteMs })).rejects.toThrow('killed');
      const next = () => project.copy({ record, lateWriteMs });
      expect(await timed(next)).toBeGreaterThan(lateWriteMs);
    });

    test('and does not wait if all were answered', async () => {
      const longest = project.copy({ lateWriteMs: 3_600_000 });
      expect((await longest).finished).toBe(true);
    });
  });

  test('waits for an unavailable API server', async () => {
    const record = createCopyRecord();
    let calls = 0;
    const away = async () => {
      if (calls++ % 3 === 0)
        throw new UnreachableError('away', { status: 0, reason: 'Test', disposition: 'transient' });
    };
    const checkpoint = await project.copy({
      record: {
        ...record,
        load: (signal) => away().then(() => record.load(signal)),
        save: (saved, signal) => away().then(() => record.save(saved, signal)),
      },
    });
    expect(countsOf(checkpoint).read).toBe(300);
    expect(record.current()?.checkpoint).toEqual(checkpoint);
  });

  test('reads a page again, without writing it, if it became too old', async () => {
    // The first page's requests are stuck; Edge must get Core's state after that.
    let stuck = 0;
    const started = Promise.withResolvers<void>();
    project.proxy.inject(({ operation }) => {
      if (operation !== 'BatchExecuteStatement' || stuck++ > 0) return undefined;
      started.resolve();
      return { kind: 'hang' };
    });
    // The page is not read again before Core has changed, however slow that is.
    const changed = Promise.withResolvers<void>();
    const { core } = project.stores;
    const page: typeof core.identities.page = async (...request) => {
      if (stuck > 0) await changed.promise;
      return core.identities.page(...request);
    };
    const stores = { ...project.stores, core: { ...core, identities: { ...core.identities, page } } };
    const copying = project.copy({ stores, pageMaxAgeMs: 3_000 });
    await started.promise;
    await project.sql(
      `UPDATE environments_trait t SET string_value = 'changed meanwhile' FROM environments_identity i
       JOIN environments_environment e ON e.id = i.environment_id
       WHERE i.id = t.identity_id AND e.project_id = $1 AND t.value_type = 'unicode' AND t.trait_key = 'plan'`,
      [project.seeded.projectId],
    );
    changed.resolve();
    await copying;
    expect(stuck).toBeGreaterThan(1);
    expect(await project.compare()).toEqual(EQUAL);
  });

  test('fails with the reason once nothing has succeeded for the length of the retry budget', async () => {
    project.proxy.inject(({ operation }) => (operation === 'BatchExecuteStatement' ? { kind: 'throttle' } : undefined));
    const failing = project.copy({ pageMaxAgeMs: 2_000, retryBudgetMs: 500 });
    await expect(failing).rejects.toMatchObject({ name: 'EdgeThrottled' });
  });

  test('ends at once when its signal aborts', async () => {
    const controller = new AbortController();
    project.proxy.inject(({ operation }) => {
      if (operation !== 'BatchExecuteStatement') return undefined;
      controller.abort(new Error('SIGTERM'));
      return { kind: 'hang' };
    });
    await expect(project.copy({}, controller.signal)).rejects.toThrow('SIGTERM');
  });

  test('keeps to its write rate, even to one that is lowered while it runs', async () => {
    project.stores.edge.budget.setMaximum(1500);
    const started = performance.now();
    const checkpoint = await project.copy({
      onProgress: () => project.stores.edge.budget.setMaximum(500),
    });
    const seconds = (performance.now() - started) / 1000;
    const { writeUnits } = countsOf(checkpoint);
    expect(writeUnits).toBeGreaterThan(800);
    // The first page may use the old rate, and half a second of either rate may have accumulated.
    expect(writeUnits).toBeLessThanOrEqual(500 * (seconds + 0.5) + 1500 * 0.5 + 300);
  });
});

import { CoreTimeoutError } from '@edge-migration/identity/core/errors.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestProject, type TestProject } from '../../copy/worker/testing/project.ts';
import { createMemoryRecord } from '../../job/memory-record.ts';
import { openWorkerStores } from '../../job/stores.ts';
import { createCheckpointCipher, createCipherKey } from '../checkpoint-cipher.ts';
import { createCopiedProject, IDENTITIES, listDocuments } from './testing/copied-project.ts';
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

describe('a Core that cannot read large pages in time', () => {
  useCopiedProject();

  test('is compared in smaller ones, with few attempts at larger ones', async () => {
    const { core } = project.stores;
    const whole = await verify(project);
    let timeouts = 0;
    let pages = 0;
    const page: typeof core.identities.page = (request, signal) => {
      pages++;
      if (request.limit <= 10) return core.identities.page(request, signal);
      timeouts++;
      return Promise.reject(new CoreTimeoutError('did not finish in time'));
    };
    const slow = { ...project.stores, core: { ...core, identities: { ...core.identities, page } } };
    const { totals } = await verify({ stores: slow });
    expect({ ...totals, readUnits: 0 }).toEqual({ ...whole.totals, readUnits: 0 });
    expect(pages - timeouts).toBeGreaterThanOrEqual(IDENTITIES / 10);
    expect(timeouts).toBeLessThan((pages - timeouts) / 2);
  });
});

describe('a limit of read units', () => {
  useCopiedProject();

  test('is kept over the whole comparison, and does not change its result', async () => {
    const free = await verify(project);
    const rate = 100;
    await using stores = await openWorkerStores(
      {
        ...project.tables.settings,
        databaseUrl: project.databaseUrl,
        projectId: project.seeded.projectId,
        maxWriteUnitsPerSecond: 1_000_000,
        maxReadUnitsPerSecond: rate,
      },
      { clock: systemClock, retryBudgetMs: 20_000, signal: new AbortController().signal },
    );
    const from = systemClock.monotonic();
    const limited = await verify({ stores }, { settings: () => ({ ...VERIFY_SETTINGS, maxReadUnitsPerSecond: rate }) });
    const seconds = (systemClock.monotonic() - from) / 1000;
    expect(limited.totals.readUnits).toBeGreaterThan(2 * rate);
    // Accumulated units, and the last request, which is accounted for after its response has arrived.
    expect(seconds * rate).toBeGreaterThan(limited.totals.readUnits - 2 * rate);
    expect({ ...limited.totals, readUnits: 0 }).toEqual({ ...free.totals, readUnits: 0 });
  });
});

describe('a worker that is killed again and again', () => {
  useCopiedProject();

  test('has the same counts, samples and sums as an uninterrupted one', async () => {
    const documents = await listDocuments(project);
    for (const { item, environmentId } of documents.slice(-5))
      await CORRUPTIONS[2]!.apply(project.stores.edge, item, environmentId);
    const expected = await verify(project);
    const seal = createCheckpointCipher(createCipherKey());
    let texts: Readonly<Record<string, string>> | undefined;
    let kills = 0;
    for (;;) {
      const killed = new AbortController();
      let saves = 0;
      const memory = createMemoryRecord(texts);
      const record = {
        ...memory,
        // A pod dies right after, or right before, saving.
        save: async (saved: Readonly<Record<string, string>>, signal: AbortSignal) => {
          if (++saves === 3) killed.abort(new Error('killed'));
          killed.signal.throwIfAborted();
          await memory.save(saved, signal);
        },
      };
      const settings = () => ({ ...VERIFY_SETTINGS, pageSize: 40 });
      const outcome = await verify(project, { record, seal, settings, settleMs: 1 }, killed.signal).catch(
        () => undefined,
      );
      texts = memory.texts();
      if (outcome !== undefined) {
        expect(outcome.samples).toEqual(expected.samples);
        expect({ ...outcome.totals, readUnits: 0 }).toEqual({ ...expected.totals, readUnits: 0 });
        break;
      }
      kills += 1;
      expect(kills).toBeLessThan(200);
    }
    expect(kills).toBeGreaterThan(3);
    expect(JSON.stringify(texts)).not.toContain('@');
  });
});

describe('a checkpoint of a worker of an earlier release', () => {
  useCopiedProject();

  test('is resumed', async () => {
    const { core } = project.stores;
    let pages = 0;
    const page: typeof core.identities.page = (request, signal) => {
      pages++;
      return core.identities.page(request, signal);
    };
    const counted = { ...project.stores, core: { ...core, identities: { ...core.identities, page } } };
    const settings = () => ({ ...VERIFY_SETTINGS, pageSize: 40 });
    const seal = createCheckpointCipher(createCipherKey());
    const memory = createMemoryRecord();
    const expected = await verify({ stores: counted }, { settings, record: memory, seal });
    const whole = pages;
    const { checkpoint, ...others } = memory.texts();
    const { sealed, finished: _, ...counts } = JSON.parse(checkpoint!);
    const { comparedTime, ...place } = seal.decrypt(sealed) as { comparedTime: number };
    const former = { ...counts, finished: false, sealed: seal.encrypt({ ...place, lookedAt: comparedTime }) };
    const record = createMemoryRecord({ ...others, checkpoint: JSON.stringify(former) });
    pages = 0;
    const { totals } = await verify({ stores: counted }, { settings, record, seal });
    expect(whole).toBeGreaterThan(IDENTITIES / 40);
    expect(pages).toBe(0);
    expect({ ...totals, readUnits: 0 }).toEqual({ ...expected.totals, readUnits: 0 });
  });
});

describe('a range in which everything is missing', () => {
  beforeAll(async () => {
    project = await createTestProject({ identities: 20 });
    await project.sql(
      `INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits)
       SELECT repeat('ü', 400) || n, now(), $1, '{}' FROM generate_series(1, 2500) n`,
      [project.stores.project.environments[0]!.id],
    );
  });
  afterAll(() => project[Symbol.asyncDispose]());

  test('always has a checkpoint that fits into a ConfigMap', async () => {
    const memory = createMemoryRecord();
    let largest = 0;
    const record = {
      ...memory,
      save: async (texts: Readonly<Record<string, string>>, signal: AbortSignal) => {
        largest = Math.max(largest, ...[Buffer.byteLength(JSON.stringify(texts))]);
        await memory.save(texts, signal);
      },
    };
    const settings = () => ({ ...VERIFY_SETTINGS, pageSize: 5000 });
    const { totals } = await verify(project, { record, settings, settleMs: 1 });
    expect(totals.missing).toBe(2520);
    expect(largest).toBeLessThan(2 ** 20);
  });
});

import type { Stores } from '@edge-migration/identity/converge.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import type { JsMsg } from '@nats-io/jetstream';
import { describe, expect, test } from 'vitest';
import type { Cursor } from '../consume/delivery.ts';
import type { EventRunnerOptions } from './runner.ts';
import { createParts, EMPTY_CORE, environment, type Others, PROJECT, work } from './testing/runner.ts';

test('a fan-out that begins again is not cut short by its first pages, and a repeated page adds none', async () => {
  const between = { clock: systemClock, core: EMPTY_CORE } as unknown as Stores;
  const ids: (string | undefined)[] = [];
  const publish: EventRunnerOptions['publish'] = async (_, __, page) => void ids.push(page?.id);
  const { runner } = createParts(false, { between, publish });
  for (const seq of [1, 1, 2]) {
    const { held, event, ...rest } = work();
    const resolution = { kind: 'environment', projectId: PROJECT, environment, isGone: false } as const;
    const message = { ...held.message, seq } as JsMsg;
    const wide = { ...event, id: 'wide', target: { kind: 'environment', environment: { environmentId: 3 } } } as const;
    await runner.apply(PROJECT, [{ ...rest, held: { ...held, message }, event: wide, resolution }]);
  }
  const [first, again, later] = ids;
  expect(first).toBeDefined();
  expect(again).toBe(first);
  expect(later).not.toBe(first);
});

describe('a fan-out while a region other than the home region is written', () => {
  const edge = { identities: { listEnvironment: async () => ({ documents: [], next: 'ada' }) } };
  const between = { clock: systemClock, core: EMPTY_CORE, edge } as unknown as Stores;

  /** A page of it, and what is parked and published; `isGone`: Core no longer has the environment. */
  function createFanOut(others: Others) {
    const pages: (Cursor | undefined)[] = [];
    const publish: EventRunnerOptions['publish'] = async (_, __, page) => void pages.push(page?.cursor);
    const { parked, runner } = createParts(false, { between, publish, recheckDelayMs: () => 10_000, ...others });
    async function run(cursor: Cursor | undefined, isGone = false) {
      const { event, ...rest } = work();
      const resolution = { kind: 'environment', projectId: PROJECT, environment, isGone } as const;
      const wide = {
        ...event,
        id: 'wide',
        target: { kind: 'environment', environment: { environmentId: 3 } },
      } as const;
      const page = { ...rest, cursor, event: wide, resolution };
      await runner.apply(PROJECT, [page]);
      return page.isDone();
    }
    return { parked, pages, run };
  }

  const FROM_EDGE = { from: 'edge', round: 0, after: null } as const;
  const RECHECK = { projectId: PROJECT, reason: 'repeat', due: expect.any(Number) };

  test.each([
    ['documents of Edge', FROM_EDGE, false],
    ['the documents of an environment that Core has deleted', undefined, true],
  ])('waits with a page of %s until the home region is back, and resumes there once', async (_, cursor, isGone) => {
    let isAway = true;
    const { parked, pages, run } = createFanOut({ isAway: () => isAway });
    expect(await run(cursor, isGone)).toBe(false);
    expect({ parked, pages }).toEqual({ parked: [RECHECK], pages: [] });
    isAway = false;
    expect(await run(cursor, isGone)).toBe(true);
    const next = expect.objectContaining({ from: 'edge', after: 'ada' });
    expect({ parked, pages }).toEqual({ parked: [RECHECK], pages: [next] });
  });

  test("does not wait with a page of Core's identities", async () => {
    const { parked, pages, run } = createFanOut({ isAway: true });
    expect(await run({ ...FROM_EDGE, from: 'core' })).toBe(true);
    expect({ parked, pages }).toEqual({ parked: [], pages: [FROM_EDGE] });
  });

  test('is not finished by a page listed in another region because the home region had gone silent', async () => {
    let isAway = false;
    const listEnvironment = async () => {
      isAway = true;
      return { documents: [], next: undefined };
    };
    const leaving = { ...between, edge: { identities: { listEnvironment } } } as unknown as Stores;
    const { parked, run } = createFanOut({ between: leaving, isAway: () => isAway });
    expect(await run(FROM_EDGE)).toBe(false);
    expect(parked).toEqual([RECHECK]);
  });
});

import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { describe, expect, test } from 'vitest';
import { type Resumption, workThrough, workThroughSegment } from './range-loop.ts';

const logger = createLogger('test', 'silent');
const BEGINNING: Resumption<number> = { segment: 0, start: null };

/** A segment of this many pages, each of which begins with its number; and the steps in order. */
function pagesOf(count: number, rests: (number | undefined)[] = []) {
  const calls: string[] = [];
  return {
    calls,
    async read(start: number | null) {
      calls.push(`read ${start ?? 0}`);
      return start ?? 0;
    },
    nextOf: (page: number) => (page + 1 < count ? page + 1 : undefined),
    async handle(page: number) {
      calls.push(`handle ${page}`);
      return rests.shift();
    },
  };
}

describe('a segment', () => {
  test('is processed page by page, each page being read while the previous one is handled', async () => {
    const pages = pagesOf(3);
    await workThroughSegment(pages, null);
    expect(pages.calls).toEqual(['read 0', 'read 1', 'handle 0', 'read 2', 'handle 1', 'handle 2']);
  });

  test('continues behind the done part of an unfinished page, and reads again what was read ahead', async () => {
    const pages = pagesOf(2, [0, undefined, 1]);
    await workThroughSegment(pages, null);
    expect(pages.calls).toEqual([
      ...['read 0', 'read 1', 'handle 0'],
      ...['read 0', 'read 1', 'handle 0', 'handle 1'],
      ...['read 1', 'handle 1'],
    ]);
  });

  test('passes the start of a page to its handler, which returns the start of the rest', async () => {
    const starts: (number | null)[] = [];
    const handle = async (_: number, start: number | null) => {
      starts.push(start);
      return undefined;
    };
    await workThroughSegment({ ...pagesOf(3), handle }, 1);
    expect(starts).toEqual([1, 2]);
  });

  test('fails with the error of reading ahead once the previous page is done', async () => {
    const pages = pagesOf(2);
    const handled: number[] = [];
    const work = {
      ...pages,
      read: async (start: number | null) => {
        if (start === 1) throw new Error('Core is down');
        return 0;
      },
      async handle(page: number) {
        // The failure has occurred by now, and nothing awaits it.
        await new Promise((resolve) => setImmediate(resolve));
        handled.push(page);
        return undefined;
      },
    };
    await expect(workThroughSegment(work, null)).rejects.toThrow('Core is down');
    expect(handled).toEqual([0]);
  });
});

describe('a range', () => {
  const environments = new Map([3, 5].map((id) => [id, { id } as CoreEnvironment]));
  const segments = [3, 4, 5].map((environmentId) => ({ environmentId }));

  async function run(from: Resumption<number>) {
    const done: string[] = [];
    await workThrough(
      {
        ...{ segments, environments, logger },
        at: ({ environment, index }) => ({
          ...pagesOf(2),
          async handle(page) {
            done.push(`page ${page} of segment ${index}, environment ${environment.id}`);
            return undefined;
          },
        }),
        async moveTo(segment) {
          done.push(`to ${segment}`);
        },
      },
      from,
    );
    return done;
  }

  test('is processed segment by segment, without segments of deleted environments', async () => {
    expect(await run(BEGINNING)).toEqual([
      ...['page 0 of segment 0, environment 3', 'page 1 of segment 0, environment 3', 'to 1', 'to 2'],
      ...['page 0 of segment 2, environment 5', 'page 1 of segment 2, environment 5', 'to 3'],
    ]);
  });

  test('is resumed in the middle of a segment; later ones are read from their beginning', async () => {
    expect(await run({ segment: 0, start: 1 })).toEqual([
      ...['page 1 of segment 0, environment 3', 'to 1', 'to 2'],
      ...['page 0 of segment 2, environment 5', 'page 1 of segment 2, environment 5', 'to 3'],
    ]);
  });

  test('has nothing to do when resumed behind its last segment', async () => {
    expect(await run({ segment: 3, start: null })).toEqual([]);
  });
});

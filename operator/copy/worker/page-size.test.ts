import { describe, expect, test } from 'vitest';
import { createPageSizer } from './page-size.ts';

const SMALL = { bytes: 600, seconds: 0.1 };

function grow(sizer: ReturnType<typeof createPageSizer>, pages: number, each: { bytes: number; seconds: number }) {
  for (let page = 0; page < pages; page++) {
    const identities = sizer.next();
    sizer.done({ identities, bytes: identities * each.bytes, seconds: each.seconds });
  }
}

describe('the page size', () => {
  test('starts small and reaches the configured one within a few pages', () => {
    const sizer = createPageSizer(() => 1000, 30_000);
    expect(sizer.next()).toBeLessThanOrEqual(100);
    grow(sizer, 8, SMALL);
    expect(sizer.next()).toBe(1000);
  });

  test('follows changes of the configured size', () => {
    let limit = 1000;
    const sizer = createPageSizer(() => limit, 30_000);
    grow(sizer, 8, SMALL);
    limit = 10;
    expect(sizer.next()).toBe(10);
  });

  test('stays small for large documents', () => {
    const sizer = createPageSizer(() => 5000, 30_000);
    grow(sizer, 20, { bytes: 400_000, seconds: 0.1 });
    expect(sizer.next() * 400_000).toBeLessThan(8 * 2 ** 20);
  });

  test('stays so small that a page is written in a quarter of its maximum age', () => {
    const sizer = createPageSizer(() => 1000, 30_000);
    const identitiesPerSecond = 2;
    for (let page = 0; page < 20; page++) {
      const identities = sizer.next();
      sizer.done({ identities, bytes: identities * 600, seconds: identities / identitiesPerSecond });
    }
    expect(sizer.next() / identitiesPerSecond).toBeLessThanOrEqual(7.5);
  });

  test('is halved by every page that fails, but never becomes zero', () => {
    const sizer = createPageSizer(() => 1000, 30_000);
    grow(sizer, 8, SMALL);
    sizer.failed();
    expect(sizer.next()).toBe(500);
    for (let failures = 0; failures < 20; failures++) sizer.failed();
    expect(sizer.next()).toBe(1);
  });
});

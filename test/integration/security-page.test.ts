/** The threat model cites the tests that prove it: they must exist under these names. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** Files and, after a colon, names of tests in them. */
function citations(page: string): { path: string; names: string[] }[] {
  const pattern = /`([\w./-]+_?test\.(?:ts|yaml))`((?::? ?,? ?"[^"]+")*)/g;
  return [...page.matchAll(pattern)].map(([, path = '', names = '']) => ({
    path,
    names: [...names.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name),
  }));
}

it('the security page cites tests that exist', () => {
  const cited = citations(read('docs/security.md'));
  expect(cited.length).toBeGreaterThan(20);
  const missing = cited.flatMap(({ path, names }) => {
    if (!existsSync(new URL(`../../${path}`, import.meta.url))) return [path];
    const text = read(path);
    return names.filter((name) => !text.includes(name)).map((name) => `${path}: ${name}`);
  });
  expect(missing).toEqual([]);
});

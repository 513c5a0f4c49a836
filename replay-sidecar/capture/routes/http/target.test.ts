import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { runPython3 } from '../python/python3.ts';
import { splitTarget } from './target.ts';

/** gunicorn's and Django's own functions for the path. */
const DJANGO_PATH = `
from urllib.parse import quote, unquote_to_bytes
def repercent(path):
    while True:
        try:
            return path.decode()
        except UnicodeDecodeError as e:
            path = path[:e.start] + quote(path[e.start:e.end], safe=b"/#%[]=:;$&()+,!?*@'~").encode() + path[e.end:]
print(json.dumps([repercent(unquote_to_bytes(v)) for v in values]))`;

describe('splitTarget', () => {
  it.each([
    ['/a/b?c=d', 'a/b', 'c=d'],
    ['/a%2Fb/?c?d#e', 'a/b/', 'c?d'],
    ['http://host:80/a?b', 'a', 'b'],
    ['http://host', '', ''],
    ['//a/b', '/a/b', ''],
    ['/caf%C3%A9/%FF%2525', 'café/%FF%25', ''],
    ['/caf\u00c3\u00a9', 'caf\u00c3\u00a9', ''],
    ['/a%ED%A0%80b%E2%82', 'a%ED%A0%80b%E2%82', ''],
    ['/%4g%', '%4g%', ''],
    ['*', '*', ''],
  ])('splits %s', (target, path, query) => {
    expect(splitTarget(target)).toEqual({ path, query });
  });

  it('decodes any path as gunicorn and Django do', () => {
    const escaped = fc.nat(255).map((byte) => `%${byte.toString(16).padStart(2, '0')}`);
    const literal = fc.constantFrom(
      'a',
      '/',
      '%',
      '%4',
      '%zz',
      '\u00e9',
      '\u00ff',
      '%C3%A9',
      '%F0%9F%98%80',
      '%ED%A0%80',
      '+',
    );
    const paths = fc.sample(
      fc.array(fc.oneof(escaped, literal), { maxLength: 8 }).map((parts) => parts.join('')),
      3000,
    );
    const theirs = runPython3(DJANGO_PATH, paths);
    if (theirs !== undefined) expect(paths.map((path) => splitTarget(`/${path}`).path)).toEqual(theirs);
  });
});

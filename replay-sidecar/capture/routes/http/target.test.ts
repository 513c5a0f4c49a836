import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { hasOneReading } from '../../proxy/target.ts';
import { runPython3 } from '../python/testing.ts';
import { splitTarget } from './target.ts';

/** How gunicorn and Django read a target; both in a few lines. An error means 400. */
const GUNICORN_TARGET = `
from urllib.parse import quote, unquote_to_bytes, urlsplit
def split(target):
    parts = urlsplit("." + target) if target.startswith("//") else urlsplit(target)
    path = parts.path[1:] if target.startswith("//") else parts.path
    return repercent(unquote_to_bytes(path)) or "/", parts.query
def repercent(path):
    while True:
        try:
            return path.decode()
        except UnicodeDecodeError as e:
            path = path[:e.start] + quote(path[e.start:e.end], safe=b"/#%[]=:;$&()+,!?*@'~").encode() + path[e.end:]
print(json.dumps([{"path": path.removeprefix("/"), "query": query} for path, query in map(split, values)]))`;

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
    const targets = paths.map((path) => `/${path}`);
    const theirs = runPython3(GUNICORN_TARGET, targets);
    if (theirs !== undefined) expect(targets.map(splitTarget)).toEqual(theirs);
  });

  it.each(['http://[.]/', 'http://[a]//', 'http://[8000]/', 'http://[..::1]/', 'https://[1.2.3.4]/'])(
    'is not asked about %s: releases of Python differ about brackets around anything but an IPv6 address',
    (target) => {
      expect(hasOneReading('GET', target)).toBe(false);
    },
  );

  it('finds the same path and query as gunicorn in every target that the proxy lets pass', () => {
    const piece = fc.constantFrom(
      ...['/', '//', ':', '://', '?', '#', '%2F', '%3F', '%23', '%', '@', '[', ']', '*', ';', '.', '..', '\\', '='],
      ...[
        'http',
        'HTTPS',
        'x',
        'javascript',
        'a',
        'api/v1/identities/',
        '8000',
        '::1',
        '\u00e9',
        '\u00ff',
        '\u0085',
        '&',
      ],
    );
    const start = fc.constantFrom('', '/', '//', 'http://', 'https://a', 'http://[::1]', 'http://a:80', 'x:', 'http:/');
    const targets = fc
      .sample(fc.tuple(start, fc.array(piece, { maxLength: 7 })), 20_000)
      .map(([first, rest]) => first + rest.join(''));
    const passed = targets.filter((target) => hasOneReading('GET', target));
    expect(passed.length).toBeGreaterThan(2_000);
    const theirs = runPython3(GUNICORN_TARGET, passed) as { path: string; query: string }[] | undefined;
    for (const [index, split] of theirs?.entries() ?? []) {
      const target = passed[index] ?? '';
      expect({ target, ...splitTarget(target) }).toEqual({ target, ...split });
    }
  });
});

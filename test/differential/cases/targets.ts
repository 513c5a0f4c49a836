import fc from 'fast-check';
import type { Case } from '../case.ts';
import { anyWrite, changed, oddText } from './writes.ts';

const SCHEMES = ['x:', 'X:', 'http:', 'https:', 'HTTP:', 'javascript:', 'a+b-c.d:', 'x%3A:', '1x:', 'file:', 'mailto:'];
const AUTHORITIES = ['', '//', '//h', '//flags.example', '//user@h:80', '///', '//[::1]', '//h:x', '//%2F', '//h\\'];

const absolute = fc.tuple(fc.constantFrom(...SCHEMES), fc.constantFrom(...AUTHORITIES)).map(([s, a]) => s + a);

/** One way to write a path differently. */
const spelling: fc.Arbitrary<(target: string) => string> = fc.oneof(
  absolute.map((prefix) => (target: string) => prefix + target),
  fc
    .constantFrom('/', '//', '/.', '/..', '/x/..', '/;x', '/?', '/#', '\\', '*', ' ', '')
    .map((prefix) => (target: string) => prefix + target),
  // Percent-encodes a character, upper or lower case.
  fc.tuple(fc.nat(40), fc.boolean()).map(([at, upper]) => (target: string) => {
    const index = at % target.length;
    const hex = target.charCodeAt(index).toString(16).padStart(2, '0');
    return `${target.slice(0, index)}%${upper ? hex.toUpperCase() : hex}${target.slice(index + 1)}`;
  }),
  // Inserts something anywhere.
  fc
    .tuple(
      fc.nat(60),
      fc.oneof(oddText, fc.constantFrom('//', '/./', '/../', ';v=1', '?', '#', '%2f', '%2e', '%3f', '%23', ':', '@')),
    )
    .map(([at, text]) => (target: string) => {
      const index = at % (target.length + 1);
      return target.slice(0, index) + text + target.slice(index);
    }),
  fc
    .constantFrom(
      '#',
      '#f',
      '#?identifier=b',
      '?',
      '?a=b://c',
      '?x#y',
      ';',
      ';a=b',
      '.json',
      '.json/',
      '.api',
      '/.json',
      '%0A',
      '%00',
      '%20',
    )
    .map((suffix) => (target: string) => target + suffix),
  fc.constantFrom('.json', '.json/', '.api', '.JSON', '.xml', '/.json', '').map((suffix) => (target: string) => {
    const [path = '', ...query] = target.split('?');
    return [path.replace(/\/$/, '') + suffix, ...query].join('?');
  }),
  fc.constant((target: string) => target.toUpperCase()),
  fc.constant((target: string) => target.slice(1)),
  fc.constant((target: string) => target.replace(/[0-9]+/, (digits) => `0${digits}`)),
  fc.constant((target: string) => target.replace('1001', '%D9%A1001').replace('9001', '9_001')),
  fc.constant((target: string) => target.replace('1001', '%201001').replace('ann', 'h%C3%A9')),
);

const methods = fc.constantFrom(
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'post',
  'get',
  'PoSt',
  'QUERY',
  'TRACE',
);

export const targetCases: fc.Arbitrary<Case> = fc
  .tuple(
    anyWrite,
    fc.oneof(
      { weight: 4, arbitrary: spelling.map((one) => [one]) },
      { weight: 1, arbitrary: fc.array(spelling, { minLength: 2, maxLength: 2 }) },
    ),
    fc.option(methods, { freq: 12, nil: undefined }),
  )
  .map(([one, spellings, method]) =>
    changed(one, {
      target: spellings.reduce((target, spell) => spell(target), one.target),
      method: method ?? one.method,
    }),
  );

import { describe, expect, test } from 'vitest';
import { readToken } from './authentication.ts';
import { createCaller, delegate } from './caller.ts';
import { isForeign } from './origin.ts';
import { settingsSchema } from './schemas.ts';

describe('acting for the caller', () => {
  const alice = createCaller({ user: 'oidc:alice', groups: ['oidc:flags', 'system:authenticated'] });

  test("the caller's own token is sent, and no credentials if there is none", () => {
    const withToken = createCaller(alice, 'token');
    expect(delegate(withToken, 'Token')).toEqual({ kind: 'token', headers: { authorization: 'Bearer token' } });
    expect(delegate(alice, 'Token')).toBeUndefined();
    expect(delegate(withToken, 'Off')).toBeUndefined();
  });

  test("the caller is impersonated with their groups, without Kubernetes' own", () => {
    const headers = { 'impersonate-user': 'oidc:alice', 'impersonate-group': ['oidc:flags'] };
    expect(delegate(alice, 'Impersonation')).toEqual({ kind: 'impersonation', headers });
  });

  test('service accounts are impersonated by name alone, and other Kubernetes names never', () => {
    const user = 'system:serviceaccount:flagsmith:dashboard';
    const account = createCaller({ user, groups: ['system:serviceaccounts', 'system:masters'] });
    expect(delegate(account, 'Impersonation')?.headers).toEqual({ 'impersonate-user': user });
    for (const name of ['system:admin', 'system:node:a', 'system:kube-scheduler'])
      expect(delegate(createCaller({ user: name, groups: [] }), 'Impersonation')).toBeUndefined();
  });
});

test('callers who differ in any fact that rights may depend on count as different', () => {
  const identities = [
    { user: 'a', groups: [] },
    { user: 'a', groups: ['b'] },
    { user: 'a', groups: ['b', 'c'] },
    { user: 'a', groups: ['b,c'] },
    { user: 'a', groups: [], uid: '1' },
    { user: 'a', groups: [], extra: { scopes: ['x'] } },
  ];
  expect(new Set(identities.map((identity) => createCaller(identity).key)).size).toBe(identities.length);
});

describe('an authorization', () => {
  test('an authorization is one bearer token', () => {
    expect(readToken(['Bearer abc.def-_~+/='])).toBe('abc.def-_~+/=');
  });

  test.each([
    [undefined],
    [[]],
    [['Bearer a', 'Bearer b']],
    [['Bearer ']],
    [['Bearer a b']],
    [['Basic YTpi']],
    [['Bearer a\u0000']],
    [[`Bearer ${'a'.repeat(8193)}`]],
  ])('an authorization of %j is refused', (authorizations) => {
    expect(() => readToken(authorizations)).toThrow(/send a Kubernetes token/);
  });
});

describe('foreign requests', () => {
  const check = (headers: Record<string, string>, mustProve = false, publicOrigin?: string) =>
    isForeign(new Headers({ host: 'console.example', ...headers }), { publicOrigin, mustProve });

  test.each<[Record<string, string>, boolean]>([
    [{}, false],
    [{ origin: 'https://console.example' }, false],
    [{ origin: 'https://console.example', 'sec-fetch-site': 'cross-site' }, true],
    [{ origin: 'https://console.example:444' }, true],
    [{ origin: 'null' }, true],
    [{ 'sec-fetch-site': 'same-site' }, true],
    [{ 'sec-fetch-site': 'none' }, false],
  ])('a request with the headers %j is foreign: %j', (headers, foreign) => {
    expect(check(headers)).toBe(foreign);
  });

  test('a request without origin headers is foreign where it must prove that it is not', () => {
    expect(check({}, true)).toBe(true);
    expect(check({ 'sec-fetch-site': 'none' }, true)).toBe(true);
    expect(check({ 'sec-fetch-site': 'same-origin' }, true)).toBe(false);
  });

  test('a request whose self-chosen host matches its origin is foreign if another origin is configured', () => {
    const rebound = { host: 'evil.example', origin: 'http://evil.example' };
    expect(check(rebound)).toBe(false);
    expect(check(rebound, false, 'https://console.example')).toBe(true);
  });
});

test('settings are passed on as given, without defaults that would change a plan', () => {
  expect(settingsSchema.parse({ copy: { parallelism: 2 } })).toEqual({ copy: { parallelism: 2 } });
  expect(settingsSchema.safeParse({ copy: { parallelism: 65 } }).success).toBe(false);
  expect(settingsSchema.safeParse({ projectId: 7 }).success).toBe(false);
});

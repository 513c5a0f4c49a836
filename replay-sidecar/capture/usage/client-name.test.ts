import { expect, it } from 'vitest';

import { nameClient, nameOtherVersions } from './client-name.ts';

const field = (name: string, value: string) => ({ name, lower: name.toLowerCase(), value });
const byAgent = (agent: string) => nameClient({ fields: [field('User-Agent', agent)] });

it.each([
  ['flagsmith-python-sdk/3.9.2', 'flagsmith-python-sdk/3.9.2'],
  ['flagsmith-java-sdk/8.1.1', 'flagsmith-java-sdk/8.1.1'],
  ['flagsmith-go-sdk/v5.2.0', 'flagsmith-go-sdk/5.2.0'],
  ['flagsmith-go-sdk/v5.2.1-0.20260102030405-abcdefabcdef', 'flagsmith-go-sdk/5.2.1'],
  ['flagsmith-nodejs-sdk/7.0.0-beta.2', 'flagsmith-nodejs-sdk/7.0.0-beta.2'],
  ['flagsmith-swift-ios-sdk/3.10.0', 'flagsmith-swift-ios-sdk/3.10.0'],
  ['Flagsmith-PHP-SDK/5.1.0', 'flagsmith-php-sdk/5.1.0'],
  ['flagsmith-rust-sdk/unknown', 'flagsmith-rust-sdk/unknown'],
  // The SDK for Node.js when it does not find its own version.
  ['unknown', 'flagsmith-nodejs-sdk/unknown'],
])('the client %s is an SDK with its version', (agent, name) => {
  expect(byAgent(agent)).toBe(name);
});

it.each([
  ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0', 'browser'],
  ['python-requests/2.32.3', 'python-requests'],
  ['okhttp/4.12.0', 'okhttp'],
  ['Shop of Alice/7 CFNetwork/1410.0.3 Darwin/22.6.0', 'ios'],
  ['Go-http-client/2.0', 'go'],
  ['Faraday v2.9.0', 'ruby'],
  ['alice@example.com', 'other'],
  ['', 'unknown'],
])('the client %s, as SDKs of earlier versions send it, is a kind of client without a version', (agent, name) => {
  expect(byAgent(agent)).toBe(name);
});

it('the client name comes from the header of the SDK for browsers before User-Agent, unless it names no SDK', () => {
  const browser = field('User-Agent', 'Mozilla/5.0');
  expect(nameClient({ fields: [browser, field('Flagsmith-SDK-User-Agent', 'flagsmith-js-sdk/9.3.1')] })).toBe(
    'flagsmith-js-sdk/9.3.1',
  );
  expect(nameClient({ fields: [field('Flagsmith-SDK-User-Agent', 'alice'), browser] })).toBe('browser');
  expect(nameClient({ fields: [] })).toBe('unknown');
});

it.each([
  'flagsmith-js-sdk/10.1.2.3',
  'flagsmith-js-sdk/alice@example.com',
  'flagsmith-js-sdk/1.0.0"} evil{a="\n',
  'flagsmith-js-sdk/99999.1',
  'flagsmith-js-sdk/\u0661.\u0662',
  `flagsmith-js-sdk/${'1'.repeat(100_000)}`,
  'flagsmith-js-sdk',
])('a malformed version is not kept: %j', (agent) => {
  expect(byAgent(agent)).toBe('flagsmith-js-sdk/unknown');
});

it('all versions that are not distinguished have one name', () => {
  expect(nameOtherVersions('flagsmith-js-sdk/9.3.1')).toBe('flagsmith-js-sdk/other');
  expect(nameOtherVersions('browser')).toBe('browser');
});

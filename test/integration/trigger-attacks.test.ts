/** Attacks on the trigger by strangers, thieves of a request, and holders of a key. */
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { request as requestHttps } from 'node:https';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { json, text } from 'node:stream/consumers';
import { EDGE_MIGRATIONS } from '@edge-migration/contract/edge-migration/api.ts';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { pressButton } from './trigger/flagsmith.ts';
import { EVENT_BUS, KEY, post, type Stage, signCall, startStage, writeSecret } from './trigger/stage.ts';

const MEGABYTE = 1024 * 1024;
let stage: Stage;

beforeAll(async () => {
  stage = await startStage();
});

afterAll(() => stage?.[Symbol.asyncDispose]());

const bodyOf = (projectId: number) => JSON.stringify({ Entries: [pressButton(projectId, EVENT_BUS)] });

async function remove(projectId: number) {
  await stage.client.delete(EDGE_MIGRATIONS, { namespace: stage.namespace, name: `project-${projectId}` });
  const isGone = async () => (await stage.migration(projectId)) === undefined;
  await waitFor(isGone, { for: 'the EdgeMigration to be gone' });
}

/** Writes raw text to a socket; returns the response, and whether it was closed. */
async function speak(url: string, words: string): Promise<{ socket: Socket; reply: Promise<string> }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.on('error', () => {});
  socket.write(words);
  return { socket, reply: text(socket) };
}

describe('a recorded request', () => {
  test('gets the first answer and does nothing, though its EdgeMigration is gone', async () => {
    const projectId = await stage.addProject();
    const headers = await signCall(stage.url, bodyOf(projectId));
    const first = await post(stage.url, headers, bodyOf(projectId));
    expect(first).toMatchObject({ status: 200, body: { FailedEntryCount: 0 } });
    await remove(projectId);
    expect(await post(stage.url, headers, bodyOf(projectId))).toEqual(first);
    expect(await stage.migration(projectId)).toBeUndefined();
  });

  test('is refused for good when it was refused before, though the project exists now', async () => {
    const projectId = (await stage.addProject()) + 1;
    const headers = await signCall(stage.url, bodyOf(projectId));
    expect((await post(stage.url, headers, bodyOf(projectId))).status).toBe(400);
    expect(await stage.addProject()).toBe(projectId);
    expect((await post(stage.url, headers, bodyOf(projectId))).status).toBe(400);
    expect(await stage.migration(projectId)).toBeUndefined();
  });

  test.each([
    ['ago', -310],
    ['ahead', 310],
  ])('is refused when it is more than five minutes %s', async (_, seconds) => {
    const projectId = await stage.addProject();
    const headers = await signCall(stage.url, bodyOf(projectId), { at: Date.now() + seconds * 1000 });
    const { status, body } = await post(stage.url, headers, bodyOf(projectId));
    expect({ status, code: body.__type }).toEqual({ status: 400, code: 'InvalidSignatureException' });
    expect(body.message).toMatch(/a signature holds for 300 s, by the clock of this server/);
    expect(await stage.migration(projectId)).toBeUndefined();
  });

  /** So that no later second is the same. */
  const startOfMinute = () => Math.floor(Date.now() / 60_000) * 60_000;

  test.each<[string, (headers: Record<string, string>) => Record<string, string>]>([
    ['another operation', (headers) => ({ ...headers, 'x-amz-target': 'AWSEvents.PutRule' })],
    ['a token of another account', (headers) => ({ ...headers, 'x-amz-security-token': 'forged' })],
    ['a malformed hash', (headers) => ({ ...headers, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' })],
    ['a fresher time', (headers) => ({ ...headers, 'x-amz-date': `${headers['x-amz-date']?.slice(0, 13)}59Z` })],
    ['no signature', ({ authorization: _, ...headers }) => headers],
  ])('and was changed is refused: %s', async (_, forge) => {
    const projectId = await stage.addProject();
    const headers = forge(await signCall(stage.url, bodyOf(projectId), { at: startOfMinute() }));
    expect((await post(stage.url, headers, bodyOf(projectId))).status).toBe(400);
    expect(await stage.migration(projectId)).toBeUndefined();
  });

  test('for one project does not work for another', async () => {
    const [signed, other] = [await stage.addProject(), await stage.addProject()];
    const headers = await signCall(stage.url, bodyOf(signed));
    const { body } = await post(stage.url, headers, bodyOf(other));
    expect(body.__type).toBe('InvalidSignatureException');
    expect(await stage.migration(other)).toBeUndefined();
  });
});

describe('a trigger body of ten megabytes', () => {
  const large = Buffer.alloc(10 * MEGABYTE, ' ');

  test('is refused by its length, even with a valid signature', async () => {
    const headers = await signCall(stage.url, large);
    expect(await post(stage.url, headers, large)).toMatchObject({ status: 413, body: { __type: 'RequestRefused' } });
  });

  test('is refused when it comes in chunks of unknown number', async () => {
    const headers = await signCall(stage.url, large);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const { socket, reply } = await speak(
      stage.url,
      `POST / HTTP/1.1\r\n${lines.join('')}transfer-encoding: chunked\r\n\r\n`,
    );
    const piece = `${MEGABYTE.toString(16)}\r\n${' '.repeat(MEGABYTE)}\r\n`;
    for (let count = 0; count < 10; count++) socket.write(piece);
    socket.write('0\r\n\r\n');
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toMatch(/^HTTP\/1.1 413 /);
    socket.destroy();
    await reply.catch(() => {}); // destroyed
  });

  test('is not read at all without a signature', async () => {
    const head = `POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AWSEvents.PutEvents\r\ncontent-type: application/x-amz-json-1.1\r\n`;
    const { socket, reply } = await speak(stage.url, `${head}content-length: ${large.length}\r\n\r\n`);
    // Answered before any of it was sent.
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toContain('MissingAuthenticationTokenException');
    socket.destroy();
    await reply.catch(() => {}); // destroyed
  });
});

describe('odd requests to the trigger', () => {
  test.each<[string, string, RegExp]>([
    [
      'two authorizations',
      'POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AWSEvents.PutEvents\r\ncontent-type: application/x-amz-json-1.1\r\nauthorization: one\r\nauthorization: two\r\ncontent-length: 0\r\n\r\n',
      /authorization must be there once/,
    ],
    [
      'two operations',
      'POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AWSEvents.PutEvents\r\nx-amz-target: AWSEvents.PutRule\r\ncontent-length: 0\r\n\r\n',
      /UnknownOperationException/,
    ],
    ['two lengths', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n', /^HTTP\/1.1 400 /],
    [
      'a length and pieces',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    [
      'a head of twenty kilobytes',
      `POST / HTTP/1.1\r\nhost: x\r\nx-y: ${'y'.repeat(20_000)}\r\n\r\n`,
      /^HTTP\/1.1 431 /,
    ],
    [
      'a signature in the query',
      'POST /?X-Amz-Signature=0 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n',
      /^HTTP\/1.1 404 /,
    ],
    ['another method', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n', /^HTTP\/1.1 405 /],
    ['a path of prototypes', 'POST __proto__ HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n', /^HTTP\/1.1 40[04] /],
  ])('are refused with %s', async (_, words, answer) => {
    const { socket, reply } = await speak(stage.url, words);
    socket.end();
    expect(await reply).toMatch(answer);
  });

  test('add at most one log line every ten seconds', async () => {
    const count = () => stage.log().split('the request is not signed').length - 1;
    const before = count();
    const headers = { host: 'x', 'x-amz-target': 'AWSEvents.PutEvents', 'content-type': 'application/x-amz-json-1.1' };
    for (let sent = 0; sent < 50; sent++) expect((await post(stage.url, headers, '{}')).status).toBe(400);
    expect(count() - before).toBeLessThan(10);
  });
});

test('clients that send a head or a body slowly are cut off, and others are served meanwhile', async () => {
  const signed = Object.entries(await signCall(stage.url, 'slow')).map(([name, value]) => `${name}: ${value}\r\n`);
  const heads = ['POST / HTTP/1.1\r\nhost: x\r\n', `POST / HTTP/1.1\r\n${signed.join('')}content-length: 4\r\n\r\ns`];
  const slow = await Promise.all(Array.from({ length: 20 }, (_, index) => speak(stage.url, heads[index % 2] ?? '')));
  const projectId = await stage.addProject();
  const answer = await post(stage.url, await signCall(stage.url, bodyOf(projectId)), bodyOf(projectId));
  expect(answer.status).toBe(200);
  for (const reply of await Promise.all(slow.map(({ reply }) => reply))) expect(reply).toMatch(/^HTTP\/1.1 408 /);
});

describe('where Core or Kubernetes does not answer', () => {
  test('the trigger fails so that SDKs and EventBridge retry, and remembers nothing', async () => {
    const url = await stage.start({ EDGE_MIGRATION_DATABASE_URL: 'postgres://reader:word@127.0.0.1:9/flagsmith' });
    const projectId = await stage.addProject();
    const headers = await signCall(url, bodyOf(projectId));
    for (const _ of ['first', 'again']) {
      const { status, body } = await post(url, headers, bodyOf(projectId));
      expect({ status, code: body.__type }).toEqual({ status: 500, code: 'InternalException' });
      expect(body.message).toMatch(/did not answer; send the event again/);
      expect(body.message).not.toMatch(/127\.0\.0\.1/);
    }
    const envelope = {
      id: '1',
      source: 'flagsmith.api.migrate',
      'detail-type': 'Migrate Identities to dynamodb',
      detail: { project_id: projectId },
    };
    const delivered = await post(
      `${url}/events`,
      { 'x-api-key': 'api-key-of-the-destination' },
      JSON.stringify(envelope),
    );
    expect(delivered.status).toBe(503);
    expect(await stage.migration(projectId)).toBeUndefined();
  });
});

test('a key removed from the Secret is rejected from then on, and a new one is accepted at once', async () => {
  const folder = join(stage.folder, 'other-keys');
  const key = { accessKeyId: 'NEXT', secretAccessKey: 'next' };
  writeSecret(folder, { [key.accessKeyId]: key.secretAccessKey });
  const url = await stage.start({ EDGE_MIGRATION_SIGNING_KEYS_DIRECTORY: folder });
  const projectId = await stage.addProject();
  const call = async (by: typeof KEY) =>
    (await post(url, await signCall(url, bodyOf(projectId), { key: by }), bodyOf(projectId))).status;
  expect(await call(KEY)).toBe(400);
  expect(await stage.migration(projectId)).toBeUndefined();
  expect(await call(key)).toBe(200);
  writeSecret(folder, { [key.accessKeyId]: '' });
  expect(await call(key)).toBe(400);
});

test('the trigger serves TLS with a certificate that was renewed a minute ago at most', async () => {
  const [certificate, privateKey] = ['tls.crt', 'tls.key'].map((name) => join(stage.folder, name)) as [string, string];
  const fixtures = new URL('../../runtime/nats/fixtures/tls/', import.meta.url).pathname;
  copyFileSync(`${fixtures}server.pem`, certificate);
  copyFileSync(`${fixtures}server-key.pem`, privateKey);
  // A minute is shortened to a moment.
  const sleep: Clock['sleep'] = (milliseconds, signal) =>
    systemClock.sleep(milliseconds === 60_000 ? 20 : milliseconds, signal);
  const clock = { ...systemClock, sleep };
  const url = await stage.start(
    { EDGE_MIGRATION_TLS_CERTIFICATE_FILE: certificate, EDGE_MIGRATION_TLS_KEY_FILE: privateKey },
    clock,
  );
  const ask = async () => {
    const request = requestHttps(url, { method: 'POST', rejectUnauthorized: false, agent: false }).end();
    const [response] = await once(request, 'response');
    const subject = response.socket.getPeerCertificate().fingerprint256 as string;
    return { subject, body: (await json(response)) as { __type: string } };
  };
  const first = await ask();
  expect(first.body.__type).toBe('UnknownOperationException');
  copyFileSync(`${fixtures}client.pem`, certificate);
  copyFileSync(`${fixtures}client-key.pem`, privateKey);
  await waitFor(async () => (await ask()).subject !== first.subject, { for: 'the renewed certificate' });
});

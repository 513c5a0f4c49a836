/** Calls by Flagsmith and by EventBridge to a trigger with the shipped rights. */
import { join } from 'node:path';
import { EDGE_MIGRATIONS } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesObject, Resource } from '@edge-migration/kubernetes/client.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callFlagsmith, canRunBoto3, type Entry, pressButton, provideBoto3, type Reply } from './trigger/flagsmith.ts';
import { API_KEY, EVENT_BUS, KEY, post, type Stage, startStage, writeSecret } from './trigger/stage.ts';

let stage: Stage;
let python: string;

beforeAll(async () => {
  if (canRunBoto3) python = await provideBoto3();
  stage = await startStage();
});

afterAll(() => stage?.[Symbol.asyncDispose]());

const environmentOf = (url: string, key = KEY) => ({
  AWS_ENDPOINT_URL_EVENTBRIDGE: url,
  AWS_DEFAULT_REGION: 'eu-west-2',
  AWS_ACCESS_KEY_ID: key.accessKeyId,
  AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
});

const send = (entries: readonly Entry[], key = KEY): Promise<Reply> =>
  callFlagsmith(python, environmentOf(stage.url, key), { entries });
const press = (projectId: number) => send([pressButton(projectId, EVENT_BUS)]);
const specOf = (migration: KubernetesObject | undefined) => migration?.['spec'] as Record<string, unknown> | undefined;

/** As the operator would have set it. */
async function setStatus(projectId: number, type: string, status: string, reason: string) {
  const condition = { type, status, reason, message: reason, lastTransitionTime: '2026-01-01T00:00:00Z' };
  const reference = { namespace: stage.namespace, name: `project-${projectId}` };
  await stage.client.patch(
    EDGE_MIGRATIONS,
    reference,
    { status: { conditions: [condition] } },
    { subresource: 'status' },
  );
}

async function create(projectId: number, spec: object = {}) {
  const metadata = { namespace: stage.namespace, name: `project-${projectId}` };
  const apiVersion = `${EDGE_MIGRATIONS.group}/${EDGE_MIGRATIONS.version}`;
  const object = { apiVersion, kind: EDGE_MIGRATIONS.kind, metadata, spec: { projectId, ...spec } };
  await stage.client.create(EDGE_MIGRATIONS, object);
}

describe.runIf(canRunBoto3)("Flagsmith's button", () => {
  test('creates the EdgeMigration from the template', async () => {
    const projectId = await stage.addProject();
    const { answer } = await press(projectId);
    expect(answer).toMatchObject({
      FailedEntryCount: 0,
      Entries: [{ EventId: expect.stringMatching(/^[0-9a-f-]{36}$/) }],
    });
    const migration = await stage.migration(projectId);
    expect(specOf(migration)).toMatchObject({ projectId, mode: 'Migrate', copy: { parallelism: 8 } });
    expect(migration?.metadata.labels).toEqual({ team: 'flags' });
  });

  test('is routed by boto3 with AWS_ENDPOINT_URL_EVENTBRIDGE; AWS_ENDPOINT_URL_EVENTS is not one of its settings', async () => {
    const { AWS_ENDPOINT_URL_EVENTBRIDGE: url, ...others } = environmentOf(stage.url);
    // A request to AWS uses the proxy, which does not exist; one to the trigger does not use it.
    const wrong = { ...others, AWS_ENDPOINT_URL_EVENTS: url, HTTPS_PROXY: 'http://127.0.0.1:9' };
    const projectId = await stage.addProject();
    const call = { entries: [pressButton(projectId, EVENT_BUS)] };
    await expect(callFlagsmith(python, { ...wrong, AWS_MAX_ATTEMPTS: '1' }, call)).rejects.toThrow(
      /Failed to connect to proxy URL/,
    );
    expect(await stage.migration(projectId)).toBeUndefined();
  });

  test('pressed again finds the same migration, and keeps settings that were changed since', async () => {
    const projectId = await stage.addProject();
    await press(projectId);
    const reference = { namespace: stage.namespace, name: `project-${projectId}` };
    await stage.client.patch(EDGE_MIGRATIONS, reference, { spec: { copy: { parallelism: 2 } } });
    const before = await stage.migration(projectId);
    expect((await press(projectId)).answer).toMatchObject({ FailedEntryCount: 0 });
    expect(await stage.migration(projectId)).toEqual(before);
  });

  test('pressed twice at the same moment creates one migration', async () => {
    const projectId = await stage.addProject();
    const replies = await Promise.all([press(projectId), press(projectId)]);
    expect(replies.map(({ answer }) => answer?.FailedEntryCount)).toEqual([0, 0]);
    expect((await stage.migration(projectId))?.metadata.generation).toBe(1);
  });

  test('turns a plan into a migration with the settings of the plan', async () => {
    const projectId = await stage.addProject();
    await create(projectId, { mode: 'Plan', copy: { parallelism: 3 } });
    await press(projectId);
    expect(specOf(await stage.migration(projectId))).toMatchObject({ mode: 'Migrate', copy: { parallelism: 3 } });
  });

  test('retries a failed migration, even after a retry that was requested manually', async () => {
    const projectId = await stage.addProject();
    await create(projectId, { retry: 'by-hand' });
    await setStatus(projectId, 'Copied', 'False', 'RangesFailed');
    await stage.client.patch(
      EDGE_MIGRATIONS,
      { namespace: stage.namespace, name: `project-${projectId}` },
      { status: { observedRetry: 'by-hand' } },
      { subresource: 'status' },
    );
    await press(projectId);
    expect(specOf(await stage.migration(projectId))?.['retry']).toMatch(/^trigger-[0-9a-f]{16}$/);
  });

  test('leaves a successful migration alone, and the log says so', async () => {
    const projectId = await stage.addProject();
    await create(projectId);
    await setStatus(projectId, 'Succeeded', 'True', 'WindowClosed');
    const before = await stage.migration(projectId);
    expect((await press(projectId)).answer).toMatchObject({ FailedEntryCount: 0 });
    expect(await stage.migration(projectId)).toEqual(before);
    expect(stage.log()).toContain(`project-${projectId} has succeeded already`);
  });
});

describe.runIf(canRunBoto3)('the trigger answers a wrong call with a clear error and creates nothing', () => {
  test.each<[string, (projectId: number) => Promise<Reply>, string, RegExp]>([
    [
      'another secret',
      (id) => send([pressButton(id, EVENT_BUS)], { ...KEY, secretAccessKey: 'another' }),
      'InvalidSignatureException',
      /check the secret access key/,
    ],
    [
      'an unknown key',
      (id) => send([pressButton(id, EVENT_BUS)], { ...KEY, accessKeyId: 'AKIAUNKNOWN' }),
      'UnrecognizedClientException',
      /unknown access key id/,
    ],
    ['another bus', (id) => send([pressButton(id, 'other')]), 'ValidationException', /no event bus "other" here/],
    [
      'another detail type',
      (id) => send([{ ...pressButton(id, EVENT_BUS), DetailType: 'Object Created' }]),
      'ValidationException',
      /NotAuthorizedForDetailTypeException/,
    ],
    [
      'another source',
      (id) => send([{ ...pressButton(id, EVENT_BUS), Source: 'aws.s3' }]),
      'ValidationException',
      /NotAuthorizedForSourceException/,
    ],
  ])('%s', async (_, call, code, message) => {
    const projectId = await stage.addProject();
    const { error } = await call(projectId);
    expect(error).toMatchObject({ code, status: 400 });
    expect(error?.message).toMatch(message);
    expect(await stage.migration(projectId)).toBeUndefined();
  });

  test('for a project that Core does not have, or that was deleted there', async () => {
    const deleted = await stage.addProject({ deleted_at: '2026-01-01T00:00:00Z' });
    for (const [projectId, reason] of [
      [2_147_483_647, 'is not in Core'],
      [deleted, 'was deleted in Core'],
    ] as const) {
      expect((await press(projectId)).error?.message).toContain(`project ${projectId} ${reason}`);
      expect(await stage.migration(projectId)).toBeUndefined();
    }
  });

  test('for one of several entries, while the others are accepted', async () => {
    const [first, second] = [await stage.addProject(), await stage.addProject()];
    const entries = [pressButton(first, EVENT_BUS), pressButton(first, 'other'), pressButton(second, EVENT_BUS)];
    const { answer } = await send(entries);
    expect(answer).toMatchObject({ FailedEntryCount: 1, Entries: [{}, { ErrorCode: 'InvalidArgument' }, {}] });
    expect(await stage.migration(first)).toBeDefined();
    expect(await stage.migration(second)).toBeDefined();
  });
});

describe("EventBridge's own envelope", () => {
  const envelope = (projectId: number, id = 'event-1') =>
    JSON.stringify({
      id,
      source: 'flagsmith.api.migrate',
      'detail-type': 'Migrate Identities to dynamodb',
      detail: { project_id: projectId },
    });
  const deliver = (body: string, headers: Record<string, string> = { 'x-api-key': API_KEY }) =>
    post(`${stage.url}/events`, { 'content-type': 'application/json', ...headers }, body);

  test('is accepted with an API key or Basic authorization', async () => {
    const projectId = await stage.addProject();
    expect(await deliver(envelope(projectId))).toMatchObject({
      status: 200,
      body: { id: 'event-1', result: 'create' },
    });
    const basic = `Basic ${Buffer.from('eventbridge:word').toString('base64')}`;
    const again = await deliver(envelope(projectId), { authorization: basic });
    expect(again).toMatchObject({ status: 200, body: { result: 'leave' } });
  });

  test('requests one retry, however often it is delivered', async () => {
    const projectId = await stage.addProject();
    await create(projectId);
    await setStatus(projectId, 'Copied', 'False', 'RangesFailed');
    expect((await deliver(envelope(projectId))).body['result']).toBe('retry');
    const { retry } = specOf(await stage.migration(projectId)) ?? {};
    expect((await deliver(envelope(projectId))).body['result']).toBe('leave');
    expect(specOf(await stage.migration(projectId))?.['retry']).toBe(retry);
  });

  test('is refused for good, with the reason, so that EventBridge does not retry', async () => {
    expect(await deliver(envelope(2_147_483_646))).toMatchObject({ status: 400, body: { __type: 'InvalidArgument' } });
    expect(await deliver('{}')).toMatchObject({ status: 400, body: { __type: 'ValidationException' } });
  });

  test('is refused without or with another key, and accepted as soon as the Secret has the key', async () => {
    const projectId = await stage.addProject();
    expect((await deliver(envelope(projectId), {})).status).toBe(401);
    expect((await deliver(envelope(projectId), { 'x-api-key': 'renewed' })).status).toBe(401);
    expect(await stage.migration(projectId)).toBeUndefined();
    writeSecret(join(stage.folder, 'destination'), { 'api-key': 'renewed' });
    expect((await deliver(envelope(projectId), { 'x-api-key': 'renewed' })).status).toBe(200);
    writeSecret(join(stage.folder, 'destination'), { 'api-key': API_KEY });
  });
});

describe("the trigger's rights", () => {
  const REVIEWS: Resource = {
    group: 'authorization.k8s.io',
    version: 'v1',
    plural: 'subjectaccessreviews',
    kind: 'SubjectAccessReview',
    namespaced: false,
  };

  test.each<[string, string, boolean]>([
    ['get', 'edgemigrations', true],
    ['create', 'edgemigrations', true],
    ['patch', 'edgemigrations', true],
    ['list', 'edgemigrations', false],
    ['delete', 'edgemigrations', false],
    ['update', 'edgemigrations', false],
    ['patch', 'edgemigrations/status', false],
    ['get', 'secrets', false],
    ['get', 'configmaps', false],
    ['create', 'pods', false],
  ])('%s %s: %s', async (verb, path, expected) => {
    const [resource, subresource] = path.split('/');
    const group = resource === 'edgemigrations' ? EDGE_MIGRATIONS.group : '';
    const user = `system:serviceaccount:${stage.namespace}:edge-migration-trigger`;
    const may = async (namespace: string) => {
      const resourceAttributes = { verb, resource, subresource, group, namespace };
      const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', metadata: { name: '' } };
      const { status } = await stage.client.create(REVIEWS, { ...review, spec: { user, resourceAttributes } });
      return (status as { allowed: boolean }).allowed;
    };
    expect(await may(stage.namespace)).toBe(expected);
    expect(await may('default')).toBe(false);
  });
});

test('the trigger never logs a key, password or token', () => {
  const log = stage.log();
  expect(log).toContain('listening');
  for (const secret of [
    KEY.secretAccessKey,
    API_KEY,
    'eventbridge:word',
    Buffer.from('eventbridge:word').toString('base64'),
  ]) {
    expect(log).not.toContain(secret);
  }
});

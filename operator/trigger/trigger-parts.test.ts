/** Envelopes, templates, and cached responses. */
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { describe, expect, it } from 'vitest';
import { triggerConfiguration } from './config.ts';
import { isAuthorized, parseEnvelope } from './envelope.ts';
import { createReplays } from './replays.ts';

describe('an API destination', () => {
  const keyed = { apiKey: 'right' };
  const named = { username: 'eventbridge', password: 'word' };
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  const offer = (apiKeys: string[], authorizations: string[] = []) => ({ apiKeys, authorizations });

  it('is authorized by its key, or by its name and password', () => {
    expect(isAuthorized(offer(['right']), keyed)).toBe(true);
    expect(isAuthorized(offer([], [basic('eventbridge:word')]), named)).toBe(true);
    expect(isAuthorized(offer(['right']), { ...keyed, ...named })).toBe(true);
  });

  it.each([
    ['nothing', offer([]), { ...keyed, ...named }],
    ['another key', offer(['wrong']), keyed],
    ['an empty key where none is set', offer(['']), {}],
    ['two keys, of which one is right', offer(['right', 'wrong']), keyed],
    ['another password', offer([], [basic('eventbridge:other')]), named],
    ['a password where none is set', offer([], [basic('eventbridge:')]), { username: 'eventbridge' }],
    ['a bearer token', offer([], ['Bearer right']), { ...keyed, ...named }],
  ])('is not authorized by %s', (_, offered, credentials) => {
    expect(isAuthorized(offered, credentials)).toBe(false);
  });
});

describe('an envelope', () => {
  const envelope = {
    version: '0',
    id: '6a7e8feb-b491-4cf7-a9f1-bf3703467718',
    'detail-type': 'Migrate Identities to dynamodb',
    source: 'flagsmith.api.migrate',
    account: '123456789012',
    time: '2026-11-29T04:00:00Z',
    region: 'eu-west-2',
    resources: [],
    detail: { project_id: 42 },
  };

  it('is parsed as EventBridge sends it', () => {
    expect(parseEnvelope(Buffer.from(JSON.stringify(envelope)))).toEqual({
      id: envelope.id,
      source: envelope.source,
      detailType: envelope['detail-type'],
      detail: { project_id: 42 },
    });
  });

  it.each(['', 'null', '[]', '{"detail":{"project_id":42}}', JSON.stringify({ ...envelope, id: '' })])(
    'is rejected if it is %s',
    (text) => {
      expect(parseEnvelope(Buffer.from(text))).toBeUndefined();
    },
  );
});

describe('the template of EdgeMigrations', () => {
  const parse = (template: unknown) =>
    parseEnvironment(triggerConfiguration, {
      EDGE_MIGRATION_DATABASE_URL: 'postgres://reader@db/flagsmith',
      EDGE_MIGRATION_NAMESPACE: 'customers',
      EDGE_MIGRATION_EVENT_BUS: 'migrations',
      EDGE_MIGRATION_MIGRATION_TEMPLATE: typeof template === 'string' ? template : JSON.stringify(template),
    }).migrationTemplate;

  it('is returned as given, without defaults of the API server', () => {
    const spec = {
      suspend: true,
      copy: { parallelism: 8 },
      replay: { windowSeconds: 60 },
      verify: { afterCopy: 'Repair' },
    };
    expect(parse({ labels: { team: 'flags' }, spec })).toEqual({ labels: { team: 'flags' }, annotations: {}, spec });
    expect(parse('{}')).toEqual({ labels: {}, annotations: {}, spec: {} });
  });

  it.each<[string, unknown, RegExp]>([
    ['invalid JSON', '{', /must be a JSON object/],
    ['a mode, which the button determines', { spec: { mode: 'Plan' } }, /mode/],
    ['a project', { spec: { projectId: 42 } }, /projectId/],
    ['a field that is misspelt', { spec: { copy: { paralelism: 8 } } }, /paralelism/],
    ['a value out of its range', { spec: { copy: { parallelism: 65 } } }, /spec.copy.parallelism/],
  ])('is refused with %s', (_, template, message) => {
    expect(() => parse(template)).toThrow(message);
  });
});

describe('cached responses by signature', () => {
  const clock = (start: number) => {
    let time = start;
    return { now: () => time, set: (next: number) => (time = next) };
  };

  it('are returned again without acting twice, even while the first is pending', async () => {
    const replays = createReplays<number>(clock(0));
    let calls = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const act = () => promise.then(() => ++calls);
    const both = [replays.answer('one', 10, act), replays.answer('one', 10, act)];
    resolve();
    expect(await Promise.all([...both, replays.answer('one', 10, act)])).toEqual([1, 1, 1]);
    expect(await replays.answer('two', 10, act)).toBe(2);
  });

  it('exclude those of failed requests, which may be sent again', async () => {
    const replays = createReplays<string>(clock(0));
    await expect(replays.answer('one', 10, () => Promise.reject(new Error('outage')))).rejects.toThrow('outage');
    expect(await replays.answer('one', 10, async () => 'done')).toBe('done');
  });

  it('are discarded when there are many, but only once their signatures have expired', async () => {
    const time = clock(0);
    const replays = createReplays<string>(time, 2);
    const act = async () => 'done';
    await replays.answer('one', 10, act);
    await replays.answer('two', 20, act);
    await expect(replays.answer('three', 30, act)).rejects.toThrow('2 requests were made in the last minutes');
    time.set(11);
    expect(await replays.answer('three', 30, act)).toBe('done');
  });
});

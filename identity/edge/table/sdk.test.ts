/** The parts of the AWS SDK that we replace or access still have the shape of the pinned versions. */
import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { AwsJson1_0Protocol } from '@aws-sdk/core/protocols';
import { loadConfig } from '@smithy/core/config';
import { RpcProtocol } from '@smithy/core/protocols';
import { expect, test } from 'vitest';
import { WASTEFUL } from './connection.ts';
import { createHttpHandler } from './http.ts';
import { PlainJsonProtocol } from './protocol.ts';

const OPTIONS = { region: 'eu-west-2', credentials: { accessKeyId: 'id', secretAccessKey: 'secret' } };
const changed = (name: string, what: string, file: string) =>
  `${name} changed ${what}: read identity/edge/${file} before you pin another version`;

/** @returns the object, and the names of the properties that were read */
function record<T extends object>(object: T): { recorded: T; names: Set<string> } {
  const names = new Set<string>();
  const recorded = new Proxy(object, {
    get(target, name) {
      if (typeof name === 'string') names.add(name);
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { recorded, names };
}

/** Answers every request with one item. */
const answering = () => ({
  metadata: {},
  handle: async () => ({
    response: { statusCode: 200, headers: {}, body: Buffer.from('{"Item":{"key":{"S":"found"}}}') },
  }),
  destroy() {},
  updateHttpClientConfig() {},
  httpHandlerConfigs: () => ({}),
});

const get = (client: DynamoDBClient) =>
  client.send(new GetItemCommand({ TableName: 'table', Key: { key: { S: 'wanted' } } }));

test('@aws-sdk/client-dynamodb still has the middleware that is removed', () => {
  const client = new DynamoDBClient(OPTIONS);
  const names = client.middlewareStack.identify().map((line) => line.split(' ')[0]);
  expect(names, changed('@aws-sdk/client-dynamodb', 'its middleware', 'table/connection.ts')).toEqual(
    expect.arrayContaining([...WASTEFUL]),
  );
  client.destroy();
});

test("@aws-sdk/client-dynamodb still has the HTTP handler's interface", async () => {
  const { recorded, names } = record(answering());
  const client = new DynamoDBClient({ ...OPTIONS, requestHandler: recorded as never });
  await get(client);
  client.destroy();
  const ours = Object.keys(createHttpHandler({ timeoutMs: 1, maxSockets: 1 }));
  expect(ours, changed('@aws-sdk/client-dynamodb', 'what it asks of an HTTP handler', 'table/http.ts')).toEqual(
    expect.arrayContaining([...names]),
  );
});

test("@aws-sdk/core still has the protocol's serializer and deserializer", async () => {
  const asked: Record<string, Set<string>> = {};
  const ours: Record<string, string[]> = {};
  const recordOwn = (protocol: object, isOurs: boolean) => {
    for (const name of ['serializer', 'deserializer']) {
      const own: object = Reflect.get(protocol, name) ?? {};
      const { recorded, names } = record(own);
      if (isOurs) ours[name] = Object.keys(own).sort();
      else asked[name] = names;
      Reflect.set(protocol, name, recorded);
    }
  };
  for (const Protocol of [AwsJson1_0Protocol, PlainJsonProtocol]) {
    class Recorded extends Protocol {
      constructor(options: ConstructorParameters<typeof AwsJson1_0Protocol>[0]) {
        super(options);
        recordOwn(this, Protocol === PlainJsonProtocol);
      }
    }
    const client = new DynamoDBClient({ ...OPTIONS, protocol: Recorded, requestHandler: answering() as never });
    expect((await get(client)).Item).toEqual({ key: { S: 'found' } });
    client.destroy();
  }
  const theirs = Object.fromEntries(Object.entries(asked).map(([name, names]) => [name, [...names].sort()]));
  expect(theirs, changed('@aws-sdk/core', 'its JSON protocol', 'table/protocol.ts')).toEqual(ours);
});

test("@smithy/core still has the SDK's protocol, and settings are found", async () => {
  expect(
    AwsJson1_0Protocol.prototype,
    changed('@smithy/core', 'or is there twice', 'table/protocol.ts'),
  ).toBeInstanceOf(RpcProtocol);
  const load = loadConfig<string>({
    environmentVariableSelector: () => undefined,
    configFileSelector: () => undefined,
    default: 'eu-west-2',
  });
  expect(await load(), changed('@smithy/core', 'how it reads settings', 'region.ts')).toBe('eu-west-2');
});

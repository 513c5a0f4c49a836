import {
  type AttributeValue,
  ConditionalCheckFailedException,
  DynamoDBClient,
  GetItemCommand,
  InternalServerError,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import type { StoresCluster } from '../installation.ts';
import { BOTH, SHARED } from './core-requests.ts';
import type { Population } from './population.ts';
import type { Random } from './random.ts';

export type Document = Record<string, AttributeValue>;

/** The last writes of Edge clients to a document. */
export interface EdgeWrites {
  /** Core's id in the document that they found, or undefined for one that was created on Edge. */
  readonly djangoId: string | undefined;
  readonly traits: Map<string, string>;
  /** Value of the edge-only feature; undefined: none. */
  override: boolean | undefined;
  /** When `plan`, which Core's clients set too, was written; monotonic. */
  planTime: number | undefined;
}

export interface EdgeClients {
  /** Writes `rate` times a second until the signal aborts. */
  run(rate: number, signal: AbortSignal): Promise<void>;
  /** By composite key; for documents that have been replaced since, only later writes. */
  readonly writes: ReadonlyMap<string, EdgeWrites>;
  readonly counts: { written: number; overtaken: number; absent: number };
}

export interface EdgeClientOptions {
  readonly dynamodb: StoresCluster['dynamodb'];
  readonly table: string;
  readonly population: Population;
  readonly random: Random;
  /** Traits that no other Edge clients write; the near ones also write the feature that only Edge has. */
  readonly place?: 'near' | 'far';
  readonly clock?: Clock;
}

const TRAITS = { near: ['edge_a', 'edge_b', 'edge_c'], far: ['edge_far_a', 'edge_far_b'] };
const BORN = 30;
const EVERY_MS = 20;

/**
 * Clients of the Edge API: each reads a document, changes a trait or an override, and puts the whole document on
 * condition that it is unchanged, repeatedly if it was overtaken.
 */
export function createEdgeClients(options: EdgeClientOptions): EdgeClients {
  const { table, population, random, place = 'near', clock = systemClock } = options;
  const { endpoint, region, credentials } = options.dynamodb;
  const writes = new Map<string, EdgeWrites>();
  const counts = { written: 0, overtaken: 0, absent: 0 };
  let value = 0;

  /** The document's key, and whether Edge clients create it if it does not exist. */
  function choose(): { apiKey: string; identifier: string; isOwn: boolean; isShared: boolean } {
    const { environments, identities } = population.current();
    const apiKey = environments[0]?.apiKey ?? '';
    const own = (identifier: string, isShared = false) => ({ apiKey, identifier, isOwn: !isShared, isShared });
    const dice = random.next();
    if (dice < 0.15) return own(`born-${random.integer(1, BORN)}`);
    if (dice < 0.3) return own(`both-${random.integer(1, BOTH)}`);
    if (dice < 0.45 || identities.length === 0) return own(`shared-${random.integer(1, SHARED)}`, true);
    return { ...random.pick(identities), isOwn: false, isShared: false };
  }

  async function write(client: DynamoDBClient): Promise<void> {
    const { apiKey, identifier, isOwn, isShared } = choose();
    const key = `${apiKey}_${identifier}`;
    const traits = new Map([[random.pick(TRAITS[place]), `edge ${++value}`]]);
    if (isShared && random.chance(0.5)) traits.set('plan', `edge ${value}`);
    const mayOverride = place === 'near' && (isOwn || isShared);
    const override = mayOverride && random.chance(0.3) ? random.chance(0.5) : undefined;
    for (;;) {
      const found = await read(client, key);
      if (found === undefined && !isOwn) {
        counts.absent += 1;
        return;
      }
      const document = found ?? newDocument(apiKey, identifier, random);
      const changed = withOverride(withTraits(document, traits), override, population.edgeFeature);
      if (await put(client, changed, found)) {
        note(key, changed, traits, override);
        return;
      }
      counts.overtaken += 1;
    }
  }

  function note(key: string, document: Document, traits: Map<string, string>, override: boolean | undefined): void {
    counts.written += 1;
    const djangoId = document['django_id']?.N;
    const before = writes.get(key);
    const own: EdgeWrites =
      before !== undefined && before.djangoId === djangoId
        ? before
        : { djangoId, traits: new Map(), override: undefined, planTime: undefined };
    for (const [name, text] of traits) own.traits.set(name, text);
    if (traits.has('plan')) own.planTime = clock.monotonic();
    own.override = override ?? own.override;
    writes.set(key, own);
  }

  const read = async (client: DynamoDBClient, key: string): Promise<Document | undefined> => {
    const Key = { composite_key: { S: key } };
    return (await client.send(new GetItemCommand({ TableName: table, Key, ConsistentRead: true }))).Item;
  };

  async function put(client: DynamoDBClient, item: Document, found: Document | undefined): Promise<boolean> {
    try {
      await client.send(new PutItemCommand({ TableName: table, Item: item, ...condition(found) }));
      return true;
    } catch (error) {
      // Without an answer it may exist or not; repeating it has the same result.
      if (error instanceof ConditionalCheckFailedException || error instanceof InternalServerError) return false;
      throw error;
    }
  }

  return {
    writes,
    counts,
    async run(rate, signal) {
      const client = new DynamoDBClient({ endpoint, region, credentials });
      const begun = clock.monotonic();
      for (let sent = 0; !signal.aborted; sent++) {
        while (!signal.aborted && sent > ((clock.monotonic() - begun) / 1000) * rate) {
          await clock.sleep(EVERY_MS, signal).catch(() => {});
        }
        if (!signal.aborted) await write(client);
      }
      client.destroy();
    },
  };
}

function condition(found: Document | undefined) {
  if (found === undefined) return { ConditionExpression: 'attribute_not_exists(composite_key)' };
  const { django_id, identity_traits, identity_features } = found;
  return {
    ConditionExpression: 'django_id = :id AND identity_traits = :traits AND identity_features = :features',
    ExpressionAttributeValues: {
      ':id': django_id ?? { NULL: true },
      ':traits': identity_traits ?? { L: [] },
      ':features': identity_features ?? { L: [] },
    },
  };
}

function newDocument(apiKey: string, identifier: string, random: Random): Document {
  const digits = () => random.integer(0, 0xffff).toString(16).padStart(4, '0');
  return {
    composite_key: { S: `${apiKey}_${identifier}` },
    environment_api_key: { S: apiKey },
    identifier: { S: identifier },
    identity_uuid: {
      S: `${digits()}${digits()}-${digits()}-4${digits().slice(1)}-a${digits().slice(1)}-${digits()}${digits()}${digits()}`,
    },
    created_date: { S: '2026-01-01T00:00:00+00:00' },
    django_id: { NULL: true },
    identity_traits: { L: [] },
    identity_features: { L: [] },
  };
}

function withTraits(document: Document, traits: ReadonlyMap<string, string>): Document {
  const others = (document['identity_traits']?.L ?? []).filter(({ M }) => !traits.has(M?.['trait_key']?.S ?? ''));
  const own = [...traits].map(([name, text]) => ({ M: { trait_key: { S: name }, trait_value: { S: text } } }));
  return { ...document, identity_traits: { L: [...others, ...own] } };
}

function withOverride(document: Document, enabled: boolean | undefined, feature: number): Document {
  if (enabled === undefined) return document;
  const id = String(feature);
  const others = (document['identity_features']?.L ?? []).filter(({ M }) => M?.['feature']?.M?.['id']?.N !== id);
  const override = {
    M: {
      feature: { M: { id: { N: id }, name: { S: 'edge-only' }, type: { S: 'STANDARD' } } },
      enabled: { BOOL: enabled },
      feature_segment: { NULL: true as const },
      featurestate_uuid: { S: '5d1f3a2b-7c8d-4e9f-a0b1-c2d3e4f5a6b7' },
      feature_state_value: { S: 'edge' },
      multivariate_feature_state_values: { L: [] },
    },
  };
  return { ...document, identity_features: { L: [...others, override] } };
}

import { createHash, randomUUID } from 'node:crypto';
import { str } from '../python/value.ts';
import { type Access, mayWriteTraits } from '../rest/access.ts';
import { type Call, json, type Route } from '../rest/call.ts';
import { detail, HttpError, type Reply } from '../rest/errors.ts';
import { booleanField, charField, many, traitValueField, validate } from '../rest/fields.ts';
import type { Environment } from '../store/environments.ts';
import { findFeatures } from '../store/features.ts';
import { findIdentity, getOrCreateIdentity } from '../store/identities.ts';
import {
  changeTraits,
  overlayTraits,
  type SdkTrait,
  type ShownTrait,
  show,
  traitsOfNewIdentity,
  transientTraits,
} from '../store/trait-changes.ts';
import { listTraits } from '../store/traits.ts';

const IDENTIFY = {
  identifier: charField({ required: false, allowBlank: true, allowNull: true }),
  transient: booleanField({ fallback: false }),
  traits: many(
    {
      trait_key: charField({ maxLength: 200 }),
      trait_value: traitValueField({ allowNull: true }),
      transient: booleanField({ fallback: false }),
    },
    { required: false },
  ),
};

/** `identities/` and the two deprecated routes that name the identifier in the path. Flags are never evaluated. */
export function sdkIdentityRoutes(access: Access): { current: Route[]; deprecated: Route[] } {
  const authenticate = async (call: Call) => {
    await access.environment(call);
    return undefined;
  };

  async function post(call: Call): Promise<Reply> {
    const environment = await access.environment(call);
    const { identifier, transient, traits } = validate(IDENTIFY, await call.data());
    const items = mayWriteTraits(call, environment) ? (traits ?? []).map(toSdkTrait) : [];
    if (!identifier) {
      const shown = transientTraits(items.map((item) => ({ ...item, transient: true })));
      return answer(environment, anonymousIdentifier(items), shown);
    }
    const shown = transient
      ? await identifyTransiently(call, environment, identifier, items)
      : await identify(call, environment, identifier, items);
    return answer(environment, identifier, shown);
  }

  async function get(call: Call): Promise<Reply> {
    const environment = await access.environment(call);
    const identifier = call.query.getAll('identifier').at(-1);
    if (!identifier) return json(detail('Missing identifier'));
    if (call.query.getAll('transient').at(-1)) return answer(environment, identifier, []);
    const traits = await identify(call, environment, identifier, []);
    await requireFeature(call, environment);
    return answer(environment, identifier, traits);
  }

  async function getDeprecated(call: Call): Promise<Reply> {
    const environment = await access.environment(call);
    const { identity } = await getOrCreateIdentity(call.session, environment.id, call.parameters['identifier']!);
    const traits = (await listTraits(call.session.read, identity.id)).map((trait) => ({ ...show(trait, false) }));
    return json({ flags: [], traits, segments: [] });
  }

  async function getFlags(call: Call): Promise<Reply> {
    const environment = await access.environment(call);
    await getOrCreateIdentity(call.session, environment.id, call.parameters['identifier']!);
    await requireFeature(call, environment);
    return json([]);
  }

  return {
    current: [{ pattern: /^identities\/$/, authenticate, methods: { GET: get, POST: post } }],
    deprecated: [
      { pattern: /^identities\/(?<identifier>[-\p{L}\p{N}_@%.]+)\//u, authenticate, methods: { GET: getDeprecated } },
      { pattern: /^flags\/(?<identifier>[-\p{L}\p{N}_@%.]+)$/u, authenticate, methods: { GET: getFlags } },
    ],
  };
}

async function identify(
  { session }: Call,
  environment: Environment,
  identifier: string,
  items: readonly SdkTrait[],
): Promise<ShownTrait[]> {
  const { identity, created } = await getOrCreateIdentity(session, environment.id, identifier);
  const persist = environment.persistTraitData;
  if (created) return traitsOfNewIdentity(session, identity.id, items, persist);
  return persist ? changeTraits(session, identity.id, items) : overlayTraits(session, identity.id, items, false);
}

/** Nothing is stored, but stored values apply. */
async function identifyTransiently(
  { session }: Call,
  environment: Environment,
  identifier: string,
  items: readonly SdkTrait[],
): Promise<ShownTrait[]> {
  const identity = await findIdentity(session.read, environment.id, identifier);
  if (identity !== undefined) return overlayTraits(session, identity.id, items, true);
  return transientTraits(items.map((item) => ({ ...item, transient: true })));
}

function answer(environment: Environment, identifier: string, traits: readonly ShownTrait[]): Reply {
  const shown = environment.hideSensitiveData ? [] : traits.map((trait) => ({ ...trait }));
  const headers = { 'X-Flagsmith-Document-Updated-At': String(environment.updatedAt) };
  return json({ identifier, traits: shown, flags: [] }, 200, headers);
}

/** The feature that a caller asks for is looked up last. @throws HttpError 404 */
async function requireFeature({ query, session }: Call, { projectId }: Environment): Promise<void> {
  const name = query.getAll('feature').at(-1);
  if (!name) return;
  const found = await findFeatures(session.read, 'project_id = $1 AND name = $2', [projectId, name]);
  if (found.length === 0) throw new HttpError(404, detail('Given feature not found'));
}

function anonymousIdentifier(items: readonly SdkTrait[]): string {
  if (items.length === 0) return randomUUID().replaceAll('-', '');
  const sorted = items.toSorted((left, right) => (left.key < right.key ? -1 : Number(left.key > right.key)));
  return createHash('sha256')
    .update(sorted.map(({ key, value }) => key + str(value)).join(''))
    .digest('hex');
}

function toSdkTrait(item: { trait_key?: string; trait_value?: SdkTrait['value']; transient?: boolean }): SdkTrait {
  return { key: item.trait_key!, value: item.trait_value ?? null, transient: item.transient ?? false };
}

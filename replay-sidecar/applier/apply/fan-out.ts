import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { Stores } from '@edge-migration/identity/converge.ts';
import { type Cursor, derivedId, type Work } from '../consume/delivery.ts';

/** One page of a fan-out: events to be published, and where the next page starts; undefined after the last one. */
export interface FanOutPage {
  readonly events: readonly WriteEvent[];
  readonly next: Cursor | undefined;
}

/** Identities of one page. */
const PAGE = 500;

/**
 * The next page of a wide event's effects on single identities. Each page is a message of its own, so a killed applier
 * repeats one page at most, and other events are handled in between.
 *
 * - environment: every identity of Core, and every document of Edge that should have an identity in Core but has none;
 * - feature: every identity of the project that has or had an override of it;
 * - project: each of its environments.
 *
 * @param round how often the event was handled before (repeats.ts)
 * @throws the errors of the two stores
 */
export async function readFanOutPage(
  stores: Stores,
  { event, resolution, cursor }: Work,
  round: number,
  signal: AbortSignal,
): Promise<FanOutPage> {
  const position = cursor ?? { from: 'core', round, after: null };
  const derive = createDerive(event, position.round);
  switch (resolution.kind) {
    case 'project': {
      const ids = await stores.core.environments.ofProject(resolution.projectId, signal);
      const target = (environmentId: number) => ({ kind: 'environment', environment: { environmentId } }) as const;
      return { events: ids.map((id) => derive(target(id))), next: undefined };
    }
    case 'feature':
      return readFeaturePage(stores, resolution, position, derive, signal);
    case 'environment':
      return position.from === 'core' && !resolution.isGone
        ? readCorePage(stores, resolution.environment.id, position, derive, signal)
        : readEdgePage(stores, resolution, position, derive, signal);
    case 'identity':
      return { events: [], next: undefined };
  }
}

type Derive = (target: WriteEvent['target']) => WriteEvent;

function createDerive(event: WriteEvent, round: number): Derive {
  return (target) => ({ ...event, id: derivedId(event.id, round, JSON.stringify(target)), target, outcome: 'known' });
}

async function readCorePage(
  { core }: Stores,
  environmentId: number,
  { round, after }: Cursor,
  derive: Derive,
  signal: AbortSignal,
): Promise<FanOutPage> {
  const identifiers = await core.identities.identifiers({ environmentId, after, limit: PAGE }, signal);
  const last = identifiers.at(-1);
  return {
    events: identifiers.map((identifier) => derive({ kind: 'identity', environment: { environmentId }, identifier })),
    next:
      last === undefined || identifiers.length < PAGE
        ? { from: 'edge', round, after: null }
        : { from: 'core', round, after: last },
  };
}

/** Documents of identities that Core does not have; those born on Edge stay, regardless of Core. */
async function readEdgePage(
  { core, edge }: Stores,
  { environment, isGone }: Extract<Work['resolution'], { kind: 'environment' }>,
  { from, round, after }: Cursor,
  derive: Derive,
  signal: AbortSignal,
): Promise<FanOutPage> {
  const { id: environmentId, apiKey } = environment;
  const start = from === 'edge' && after !== null ? after : undefined;
  const page = await edge.identities.listEnvironment({ apiKey, after: start, limit: PAGE }, { signal });
  const identifiers = page.documents.flatMap(({ identifier, djangoId }) =>
    djangoId === undefined ? [] : [identifier],
  );
  const present = isGone ? new Set<string>() : await core.identities.present(environmentId, identifiers, signal);
  // The key alone could not tell whose documents these are once Core no longer has it.
  const reference = { environmentId, apiKey };
  return {
    events: identifiers
      .filter((identifier) => !present.has(identifier))
      .map((identifier) => derive({ kind: 'identity', environment: reference, identifier })),
    next: page.next === undefined ? undefined : { from: 'edge', round, after: page.next },
  };
}

async function readFeaturePage(
  { core }: Stores,
  { featureId, projectId }: Extract<Work['resolution'], { kind: 'feature' }>,
  { round, after }: Cursor,
  derive: Derive,
  signal: AbortSignal,
): Promise<FanOutPage> {
  const ids = await core.identities.overriding(
    { featureId, projectId, after: Number(after ?? 0), limit: PAGE },
    signal,
  );
  const last = ids.at(-1);
  return {
    events: ids.map((identityId) => derive({ kind: 'identityId', identityId })),
    next: last === undefined || ids.length < PAGE ? undefined : { from: 'core', round, after: String(last) },
  };
}

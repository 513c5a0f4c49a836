import type { Core } from '@edge-migration/identity/core/core.ts';
import type { FormerOwner } from '@edge-migration/identity/core/former-keys.ts';
import type { IdentityPlace } from '@edge-migration/identity/core/identity.ts';
import type { EdgeStore } from '@edge-migration/identity/edge/table/table.ts';
import { createBatcher } from '@edge-migration/runtime/batcher.ts';
import { type EventRetry, isOutage } from '../event-retry.ts';

export interface FormerKeys {
  /** For a client key that Core does not know. Waits through outages; rejects with the signal's reason. */
  find(apiKey: string): Promise<FormerOwner>;
}

export interface FormerKeysOptions {
  core: Core;
  edge: EdgeStore;
  /** Where one of Core's identities is. */
  placeOf(identityId: number): Promise<IdentityPlace | undefined>;
  /** Projects with an EdgeMigration. */
  migrating(signal: AbortSignal): Promise<readonly number[]>;
  eventRetry: EventRetry;
  signal: AbortSignal;
}

const PAGE = 1000;
/** How many identities Core is asked for. */
const CANDIDATES = 100;

/**
 * A renamed key may still be in thousands of earlier events: it is looked up once for all that wait, and the directory
 * learns it. Core's own history knows it. Where that lacks its beginning, a document in Edge may still have the key,
 * for an identity that Core has in an environment of another key; otherwise it cannot be known.
 */
export function createFormerKeys(options: FormerKeysOptions): FormerKeys {
  const { core, edge, placeOf, migrating, eventRetry, signal } = options;
  const reads = createBatcher(
    async (apiKeys: readonly string[]) => {
      const projects = await migrating(signal);
      const read = () => core.environments.formerOwners(apiKeys, projects, signal);
      const owners = await eventRetry.run(read, signal);
      return Promise.all(
        owners.map((owner, index) => (owner.kind === 'unknown' ? searchEdge(apiKeys[index]!) : owner)),
      );
    },
    { isolates: (error) => !isOutage(error) },
  );

  async function searchEdge(apiKey: string): Promise<FormerOwner> {
    const documents = await eventRetry.run(() => readDocuments(apiKey), signal);
    const owners = await Promise.all(
      documents.map(async ({ id, identifier }) => {
        const place = await placeOf(id);
        return place?.identifier === identifier ? place.environmentId : undefined;
      }),
    );
    const environmentId = owners.find((owner) => owner !== undefined);
    return environmentId === undefined ? { kind: 'unknown' } : { kind: 'environment', environmentId };
  }

  /** The first documents of a key that came from Core. */
  async function readDocuments(apiKey: string): Promise<{ id: number; identifier: string }[]> {
    const found: { id: number; identifier: string }[] = [];
    let after: string | undefined;
    do {
      const page = await edge.identities.listEnvironment({ apiKey, after, limit: PAGE }, { signal });
      for (const { identifier, djangoId } of page.documents) {
        if (djangoId !== undefined) found.push({ id: Number(djangoId), identifier });
      }
      after = page.next;
    } while (after !== undefined && found.length === 0);
    return found.slice(0, CANDIDATES);
  }

  return { find: (apiKey) => reads.ask(apiKey, apiKey) };
}

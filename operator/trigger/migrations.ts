import { EDGE_MIGRATIONS, GROUP, nameOf, parseEdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import type { Core } from '@edge-migration/identity/core/core.ts';
import { CoreError } from '@edge-migration/identity/core/errors.ts';
import type { KubernetesClient, KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { ApiError, ConflictError } from '@edge-migration/kubernetes/errors.ts';
import { apiVersion } from '@edge-migration/kubernetes/objects.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { REQUEST } from '@edge-migration/runtime/policies.ts';
import { retry } from '@edge-migration/runtime/retry.ts';
import { decideEvent, type EventDecision, type EventFacts } from './decide.ts';
import type { MigrationTemplate } from './template.ts';

/** Core or Kubernetes could not be asked, or refused; the event may be sent again. */
class MigrationsUnavailableError extends Error {
  override readonly name = 'MigrationsUnavailableError';
}

/** What was done about an event, with the name of the EdgeMigration. */
export type EventOutcome = EventDecision & { readonly migration: string };

/** The EdgeMigrations that events request. */
export interface MigrationStarter {
  /**
   * Ensures that the project is migrated; does nothing if it already is.
   *
   * @throws MigrationsUnavailableError when nothing is known to be done; the signal's reason on abort
   */
  request(projectId: number, eventId: string, signal: AbortSignal): Promise<EventOutcome>;
}

export interface MigrationsSettings {
  readonly core: Core;
  readonly client: Pick<KubernetesClient, 'get' | 'apply'>;
  readonly namespace: string;
  readonly template: MigrationTemplate;
  readonly clock: Clock;
}

/** Field managers: one for each part that is applied, since fields that a manager no longer sends are removed. */
const MANAGERS = {
  create: 'edge-migration-trigger',
  start: 'edge-migration-trigger-start',
  retry: 'edge-migration-trigger-retry',
} as const;

export function createMigrationStarter({
  core,
  client,
  namespace,
  template,
  clock,
}: MigrationsSettings): MigrationStarter {
  async function observe(projectId: number, signal: AbortSignal): Promise<EventFacts> {
    const reference = { namespace, name: nameOf(projectId) };
    const [project, object] = await Promise.all([
      core.projects.get(projectId, signal),
      client.get(EDGE_MIGRATIONS, reference, { signal }),
    ]);
    return {
      projectId,
      project: project === undefined ? 'missing' : project.deleted ? 'deleted' : 'found',
      migration: object === undefined ? undefined : parseEdgeMigration(object),
    };
  }

  async function act(decision: EventDecision, projectId: number, signal: AbortSignal): Promise<void> {
    if (decision.kind === 'leave' || decision.kind === 'refuse') return;
    const object = describe(decision, { namespace, name: nameOf(projectId) }, projectId, template);
    // Only the mode or the token is taken over from others. A new object has no other manager.
    const force = decision.kind !== 'create';
    await client.apply(EDGE_MIGRATIONS, object, { fieldManager: MANAGERS[decision.kind], force, signal });
  }

  return {
    async request(projectId, eventId, signal) {
      const decideAnew = async () => {
        const decision = decideEvent(await observe(projectId, signal), eventId);
        await act(decision, projectId, signal);
        return { ...decision, migration: `${namespace}/${nameOf(projectId)}` };
      };
      const isWorthIt = (error: unknown) => error instanceof ConflictError;
      try {
        return await retry(decideAnew, { policy: REQUEST, clock, signal, isWorthIt });
      } catch (error) {
        signal.throwIfAborted();
        throw explain(error, projectId);
      }
    },
  };
}

/**
 * With the uid if there is one, so that an EdgeMigration that was deleted meanwhile is not created from a single field.
 */
function describe(
  decision: Extract<EventDecision, { kind: keyof typeof MANAGERS }>,
  reference: { namespace: string; name: string },
  projectId: number,
  { labels, annotations, spec }: MigrationTemplate,
): KubernetesObject {
  const base = { apiVersion: apiVersion(EDGE_MIGRATIONS), kind: EDGE_MIGRATIONS.kind };
  switch (decision.kind) {
    case 'create': {
      const told = { [`${GROUP}/requested-by`]: 'trigger', ...annotations };
      const metadata = { ...reference, labels: { ...labels }, annotations: told };
      return { ...base, metadata, spec: { ...spec, projectId, mode: 'Migrate' } };
    }
    case 'start':
      return { ...base, metadata: { ...reference, uid: decision.uid }, spec: { mode: 'Migrate' } };
    case 'retry':
      return { ...base, metadata: { ...reference, uid: decision.uid }, spec: { retry: decision.token } };
  }
}

function explain(error: unknown, projectId: number): unknown {
  if (!(error instanceof CoreError || error instanceof ApiError)) return error;
  const whom = error instanceof CoreError ? 'Core' : 'Kubernetes';
  return new MigrationsUnavailableError(`project ${projectId}: ${whom}: ${errorMessage(error)}`, { cause: error });
}

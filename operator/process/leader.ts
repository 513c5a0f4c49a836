import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { createController, mappedSourceOf, sourceOf } from '@edge-migration/kubernetes/controller.ts';
import { EventRecorder } from '@edge-migration/kubernetes/event-recorder.ts';
import type { Leadership } from '@edge-migration/kubernetes/leader-election.ts';
import type { Reflector } from '@edge-migration/kubernetes/reflector.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { RECONCILE_AGAIN } from '@edge-migration/runtime/policies.ts';
import type { Registry } from 'prom-client';
import { createStoreChecks } from '../check/checks.ts';
import type { OperatorConfiguration } from '../config.ts';
import type { ActionContext } from '../edge-migration/act/context.ts';
import { describeChanges } from '../edge-migration/events.ts';
import type { Owned } from '../edge-migration/parse.ts';
import { createReconcile } from '../edge-migration/reconcile.ts';
import { reportInstallation } from '../installation/publish.ts';
import type { Caches } from './caches.ts';
import type { OperatorStores } from './stores.ts';
import type { Views } from './views.ts';

export interface LeaderParts {
  readonly configuration: OperatorConfiguration;
  readonly client: KubernetesClient;
  readonly templates: Pick<ActionContext, 'template' | 'verifyTemplate'>;
  readonly stores: OperatorStores;
  readonly caches: Caches;
  readonly views: Views;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** What only the replica that holds the Lease does: it reconciles, and reports the state of the installation. */
export async function lead(leadership: Leadership, parts: LeaderParts): Promise<void> {
  const { configuration, views, clock, logger, registry } = parts;
  const client = leadership.fence(parts.client);
  // Events are writes like any other: a former leader has none to send.
  const recorder = new EventRecorder({
    client,
    reportingController: 'edge.flagsmith.com/operator',
    reportingInstance: configuration.instance,
    ...{ clock, logger, registry },
  });
  const controller = createMigrationController(parts, client, recorder);
  const recording = new AbortController();
  const recorded = recorder.run(recording.signal);
  const installation = {
    ...describeInstallation(configuration, clock),
    client,
    stream: views.sources.stream,
    clock,
    logger,
  };
  const reported = reportInstallation(installation, AbortSignal.any([leadership.signal, recording.signal]));
  try {
    await controller.run(leadership.signal);
  } finally {
    recording.abort();
    await Promise.all([recorded, reported]);
  }
}

function createMigrationController(parts: LeaderParts, client: KubernetesClient, recorder: EventRecorder) {
  const { configuration, caches, stores, views, templates, clock, logger, registry } = parts;
  const context: ActionContext = {
    client,
    core: stores.core,
    projectMetadata: views.marks,
    handover: views.handover?.runner,
    clock: views.storeClock,
    namespace: configuration.namespace,
    ...templates,
    pageMaxAgeSeconds: configuration.pageMaxAgeSeconds,
    lateWriteSeconds: configuration.lateWriteSeconds,
  };
  return createController({
    name: 'edgemigration',
    sources: [
      sourceOf(caches.migrations),
      ...[caches.jobs, caches.configMaps, caches.pods].map((cache) =>
        mappedSourceOf(cache as Reflector<Owned<unknown>>, ({ migration }) => [migration]),
      ),
    ],
    reconcile: createReconcile({
      sources: views.sources,
      context,
      onStatus(migration, status) {
        for (const event of describeChanges(migration, status)) recorder.record(event);
      },
    }),
    workers: configuration.concurrency,
    queue: { backoff: RECONCILE_AGAIN },
    ...{ clock, logger, registry },
  });
}

/** The caches continuously show that EdgeMigrations can be listed. */
function describeInstallation(configuration: OperatorConfiguration, clock: Clock) {
  const { namespace, instance } = configuration;
  return {
    namespace,
    instance,
    checks: createStoreChecks({ configuration: { ...configuration, timeoutSeconds: 15 }, clock }),
  };
}

import { CORE_API } from '../e2e/replay-parts.ts';
import type { HandoverMode, TargetOptions } from '../e2e/target.ts';
import type { ServingTestTables } from '../edge/serving-tables.ts';
import type { TestTables } from '../edge/tables.ts';

/** The chart's own server. */
export const NATS_URL = 'nats://edge-migration-nats.edge-migration.svc:4222';

/** Passwords of its users. */
export const NATS_USERS = {
  secret: 'edge-migration-nats-users',
  passwords: { operator: 'word-of-operator', applier: 'word-of-applier', sidecar: 'word-of-sidecar' },
};

export interface ValuesOptions {
  readonly product: string;
  readonly nats: string;
  readonly storageClass: string;
  readonly endpoint: string;
  readonly tables: TestTables['settings'];
  /** Another value replaces the pods. */
  readonly revision: string;
  readonly options: TargetOptions;
  /** How Flagsmith hands projects over, and the tables that Flagsmith writes; off by default. */
  readonly handover?: { readonly mode: HandoverMode; readonly timeoutSeconds: number } & ServingTestTables['settings'];
}

/** Chart values for a small cluster: lower CPU requests, everything else as shipped. */
export function describeValues(given: ValuesOptions): object {
  const { product, nats, storageClass, endpoint, tables, revision, options, handover } = given;
  const requests = { cpu: '25m', memory: '128Mi' };
  const { pageMaxAgeSeconds } = options;
  const environment = Object.entries({
    // No write is delayed longer here.
    ...(pageMaxAgeSeconds === undefined ? {} : { EDGE_MIGRATION_LATE_WRITE_SECONDS: String(pageMaxAgeSeconds) }),
    ...options.operatorEnvironment,
  });
  return {
    image: splitImage(product),
    dynamodb: {
      endpoint,
      region: tables.dynamodbRegion,
      identitiesTable: tables.identitiesTable,
      ...(options.optionalTables
        ? { environmentsV2Table: tables.environmentsV2Table, projectMetadataTable: tables.projectMetadataTable }
        : {}),
      ...(handover === undefined
        ? {}
        : {
            environmentsTable: handover.environmentsTable,
            environmentsApiKeyTable: handover.environmentsApiKeyTable,
          }),
      existingSecret: 'edge-migration-aws',
    },
    capture: {
      mode: options.replay ? 'Required' : 'Disabled',
      coreApi: { namespace: CORE_API.namespace, selector: CORE_API.selector },
    },
    ...(handover === undefined ? {} : { handover: { mode: handover.mode, timeoutSeconds: handover.timeoutSeconds } }),
    nats: {
      bundled: {
        enabled: true,
        image: { ...splitImage(nats), digest: '' },
        users: { existingSecret: NATS_USERS.secret },
        storage: { size: '1Gi', className: storageClass },
        resources: { requests, limits: { memory: '512Mi' } },
      },
    },
    podAnnotations: { 'edge-migration-test/revision': revision },
    operator: {
      ...(pageMaxAgeSeconds === undefined ? {} : { pageMaxAgeSeconds }),
      ...(handover === undefined ? {} : { edgeReadySeconds: 1 }),
      extraEnv: environment.map(([name, value]) => ({ name, value })),
      resources: { requests, limits: { memory: '512Mi' } },
    },
    worker: { resources: { requests, limits: { memory: '384Mi' } } },
    applier: { resources: { requests, limits: { memory: '512Mi' } } },
  };
}

function splitImage(image: string): { repository: string; tag: string } {
  const colon = image.lastIndexOf(':');
  return { repository: image.slice(0, colon), tag: image.slice(colon + 1) };
}

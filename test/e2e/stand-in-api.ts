import { randomBytes } from 'node:crypto';
import type { ServingTestTables } from '../edge/serving-tables.ts';
import { CORE_API } from './replay-parts.ts';

type TableNames = ServingTestTables['settings'];

/** The stand-in as a Core API, and its pods' other requirements on the cluster. */
export interface StandInApi {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly tables: TableNames & { readonly environmentsV2Table: string };
  readonly pod?: object;
  readonly container?: object;
}

export const STAND_IN_LABELS = { 'app.kubernetes.io/name': 'flagsmith', 'app.kubernetes.io/component': 'api' };

/** Names that no interrupted run has left a table under. */
export function nameServingTables(): TableNames {
  const suffix = randomBytes(4).toString('hex');
  return { environmentsTable: `environments-${suffix}`, environmentsApiKeyTable: `server-keys-${suffix}` };
}

/** Its Deployment, and the Secret that one of its variables comes from. */
export function describeStandIn({ image, args, env, tables, pod, container }: StandInApi): object[] {
  const metadata = { namespace: CORE_API.namespace };
  const variables = Object.entries({
    ...env,
    DATABASE_URL: 'postgres://elsewhere/flagsmith',
    ENVIRONMENTS_TABLE_NAME_DYNAMO: tables.environmentsTable,
    ENVIRONMENTS_API_KEY_TABLE_NAME_DYNAMO: tables.environmentsApiKeyTable,
    ENVIRONMENTS_V2_TABLE_NAME_DYNAMO: tables.environmentsV2Table,
  }).map(([name, value]) => ({ name, value }));
  const secret = { name: 'DJANGO_SECRET_KEY', valueFrom: { secretKeyRef: { name: 'flagsmith', key: 'secret' } } };
  const api = { name: 'flagsmith-api', image, args, env: [...variables, secret], ...container };
  return [
    { apiVersion: 'v1', kind: 'Secret', metadata: { ...metadata, name: 'flagsmith' }, stringData: { secret: 'word' } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { ...metadata, name: 'flagsmith-api', labels: STAND_IN_LABELS },
      spec: {
        replicas: 1,
        selector: { matchLabels: STAND_IN_LABELS },
        template: { metadata: { labels: STAND_IN_LABELS }, spec: { ...pod, containers: [api] } },
      },
    },
  ];
}

import { describeContainer } from '../cluster/dynamodb.ts';
import type { RealImages } from './installation.ts';

/** Namespace of the stores. */
export const STORES = 'edge-stores';
export const DYNAMODB_PROXY = { port: 8000, control: 8090 };

/** Every pod of the tests complies with the standard that the namespaces enforce. */
export const RESTRICTED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
};

export const describeNamespace = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
});

interface Server {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly ports: Readonly<Record<string, number>>;
  readonly user: number;
  /** The path of its data, which goes with the pod. */
  readonly data?: string;
}

/** Postgres, DynamoDB Local, and the proxy in front of DynamoDB for tests with faults. */
export function describeStores(images: RealImages): object[] {
  const settings = ['fsync=off', 'full_page_writes=off', 'max_connections=200', 'timezone=UTC'];
  const servers: Server[] = [
    {
      name: 'postgres',
      image: images.postgres,
      args: settings.flatMap((setting) => ['-c', setting]),
      env: { POSTGRES_PASSWORD: 'postgres', PGDATA: '/var/lib/postgresql/data/pgdata' },
      ports: { postgres: 5432 },
      user: 999,
      data: '/var/lib/postgresql/data',
    },
    {
      name: 'dynamodb',
      image: images.dynamodb,
      args: describeContainer({ heapMb: 768, optimise: true }).args,
      ports: { http: 8000 },
      user: 1000,
    },
    {
      name: 'dynamodb-proxy',
      image: images.fixture,
      args: ['test/kind/pods/dynamodb-proxy.ts'],
      env: {
        EDGE_MIGRATION_ENDPOINT: `http://dynamodb.${STORES}.svc:8000`,
        EDGE_MIGRATION_PORT: String(DYNAMODB_PROXY.port),
        EDGE_MIGRATION_CONTROL_PORT: String(DYNAMODB_PROXY.control),
      },
      ports: { http: DYNAMODB_PROXY.port, control: DYNAMODB_PROXY.control },
      user: 65532,
    },
  ];
  return [describeNamespace(STORES), ...servers.flatMap(describeServer)];
}

export const STORE_NAMES = ['postgres', 'dynamodb', 'dynamodb-proxy'];

function describeServer({ name, image, args, env = {}, ports, user, data }: Server): object[] {
  const labels = { app: name };
  const metadata = { name, namespace: STORES };
  const list = Object.entries(ports).map(([port, number]) => ({ name: port, containerPort: number }));
  const container = {
    name,
    image,
    imagePullPolicy: 'IfNotPresent',
    args,
    env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
    ports: list,
    readinessProbe: { tcpSocket: { port: list[0]?.name }, periodSeconds: 1 },
    securityContext: { ...RESTRICTED, runAsUser: user, runAsGroup: user },
    volumeMounts: data === undefined ? [] : [{ name: 'data', mountPath: data }],
  };
  const spec = {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: { fsGroup: user },
    containers: [container],
    volumes: data === undefined ? [] : [{ name: 'data', emptyDir: {} }],
  };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        strategy: { type: 'Recreate' },
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        selector: labels,
        ports: list.map(({ name: port, containerPort }) => ({ name: port, port: containerPort, targetPort: port })),
      },
    },
  ];
}

import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EDGE_MIGRATIONS } from '@edge-migration/contract/edge-migration/api.ts';
import { insertRows } from '@edge-migration/identity/fixtures/core-rows.ts';
import type { KubernetesClient, KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import {
  enterRealApiServer,
  roleBindings,
  roles,
  serviceAccounts,
} from '@edge-migration/kubernetes/testing/real-api-server.ts';
import { triggerConfiguration } from '@edge-migration/operator/trigger/config.ts';
import { runTrigger } from '@edge-migration/operator/trigger/process.ts';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { HttpRequest } from '@smithy/core/protocols';
import { Hash } from '@smithy/core/serde';
import { SignatureV4 } from '@smithy/signature-v4';
import { parseAllDocuments } from 'yaml';
import { writeKubeconfig } from '../../cluster/kubeconfig.ts';
import { createFolder, removeFolder } from '../../cluster/reaper.ts';
import { createDatabase } from '../../cluster/shared.ts';
import { installCrd } from '../crd.ts';

export const EVENT_BUS = 'flagsmith-identity-migration';
export const KEY = { accessKeyId: 'FLAGSMITHTRIGGER0001', secretAccessKey: 'not-a-secret-of-anyone/+=' };
export const API_KEY = 'api-key-of-the-destination';

/** A trigger in this process with the shipped rights, on a real API server and Postgres. */
export interface Stage extends AsyncDisposable {
  /** With the cluster admin's rights. */
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly folder: string;
  /** URL of the first trigger. */
  readonly url: string;
  /** The complete log so far. */
  log(): string;
  /** Starts another one; returns its URL. */
  start(settings?: Readonly<Record<string, string>>, clock?: Clock): Promise<string>;
  addProject(fields?: Readonly<Record<string, unknown>>): Promise<number>;
  migration(projectId: number): Promise<KubernetesObject | undefined>;
}

let lastProject = 4_200_000;

export async function startStage(): Promise<Stage> {
  await using started = new AsyncDisposableStack();
  const { client, kubeConfig, namespace, leave } = await enterRealApiServer();
  started.defer(leave);
  await installCrd(client);
  const database = started.use(await createDatabase());
  await insertRows(database.url, { organisations_organisation: [{ id: 1 }] });
  const folder = createFolder('trigger');
  started.defer(() => removeFolder(folder));
  writeSecret(join(folder, 'keys'), { [KEY.accessKeyId]: `${KEY.secretAccessKey}\n` });
  writeSecret(join(folder, 'destination'), { 'api-key': API_KEY, username: 'eventbridge', password: 'word' });
  const kubeconfig = join(folder, 'kubeconfig');
  const { server, caData } = kubeConfig.getCurrentCluster()!;
  const certificateAuthority = Buffer.from(caData ?? '', 'base64').toString();
  const token = await grantRights(client, namespace);
  writeKubeconfig(kubeconfig, { server, certificateAuthority, user: 'trigger', token, namespace });
  const logFile = join(folder, 'trigger.log');
  const logDescriptor = openSync(logFile, 'a');
  started.defer(() => closeSync(logDescriptor));

  async function start(settings: Readonly<Record<string, string>> = {}, clock: Clock = systemClock) {
    const stopping = new AbortController();
    const { promise: listening, resolve: onListening } = Promise.withResolvers<string>();
    const configuration = parseEnvironment(triggerConfiguration, {
      EDGE_MIGRATION_DATABASE_URL: database.url,
      EDGE_MIGRATION_NAMESPACE: namespace,
      EDGE_MIGRATION_EVENT_BUS: EVENT_BUS,
      EDGE_MIGRATION_SIGNING_KEYS_DIRECTORY: join(folder, 'keys'),
      EDGE_MIGRATION_API_DESTINATION_DIRECTORY: join(folder, 'destination'),
      EDGE_MIGRATION_MIGRATION_TEMPLATE: JSON.stringify({
        labels: { team: 'flags' },
        spec: { copy: { parallelism: 8 } },
      }),
      EDGE_MIGRATION_LISTEN_HOST: '127.0.0.1',
      EDGE_MIGRATION_LISTEN_PORT: '0',
      EDGE_MIGRATION_METRICS_HOST: '127.0.0.1',
      EDGE_MIGRATION_METRICS_PORT: '0',
      ...settings,
    });
    const running = runTrigger({
      configuration,
      kubeConfig: loadKubeConfig(kubeconfig),
      clock,
      logger: createLogger('trigger', 'debug', logDescriptor),
      signal: stopping.signal,
      onListening,
    });
    stack.defer(async () => {
      stopping.abort(new Error('stopped'));
      await running;
    });
    return Promise.race([listening, running.then(() => Promise.reject(new Error('The trigger ended')))]);
  }

  const stack = started.move();
  return {
    client,
    namespace,
    folder,
    url: await start(),
    log: () => readFileSync(logFile, 'utf8'),
    start,
    async addProject(fields = {}) {
      const id = ++lastProject;
      await insertRows(database.url, { projects_project: [{ id, ...fields }] });
      return id;
    },
    migration: (projectId) => client.get(EDGE_MIGRATIONS, { namespace, name: `project-${projectId}` }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Writes files as the kubelet mounts a Secret. */
export function writeSecret(folder: string, values: Readonly<Record<string, string>>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, value] of Object.entries(values)) writeFileSync(join(folder, name), value);
}

/** The account and its rights from the shipped manifest, in this namespace; returns the account's token. */
async function grantRights(client: KubernetesClient, namespace: string): Promise<string> {
  const text = readFileSync(new URL('../../../operator/deploy/trigger.yaml', import.meta.url), 'utf8');
  const kinds = { ServiceAccount: serviceAccounts, Role: roles, RoleBinding: roleBindings };
  for (const document of parseAllDocuments(text.replaceAll('namespace: edge-migration', `namespace: ${namespace}`))) {
    const object = document.toJS() as KubernetesObject;
    const resource = kinds[object.kind as keyof typeof kinds];
    if (resource !== undefined) await client.create(resource, object);
  }
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
  const metadata = { namespace, name: 'edge-migration-trigger' };
  const answer = await client.create(serviceAccounts, { ...request, metadata }, { subresource: 'token' });
  return (answer['status'] as { token: string }).token;
}

export interface SignOptions {
  readonly key?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Milliseconds. */
  readonly at?: number;
}

/** Headers of a PutEvents call with this body, signed like AWS's SDKs do. */
export async function signCall(
  url: string,
  body: string | Uint8Array,
  { key = KEY, at = Date.now() }: SignOptions = {},
): Promise<Record<string, string>> {
  const sha256 = Hash.bind(null, 'sha256') as never;
  const signer = new SignatureV4({
    credentials: key,
    region: 'eu-west-2',
    service: 'events',
    sha256,
    applyChecksum: false,
  });
  const headers = {
    host: new URL(url).host,
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': 'AWSEvents.PutEvents',
    'amz-sdk-invocation-id': randomUUID(),
  };
  const request = new HttpRequest({ method: 'POST', path: '/', headers, body });
  return (await signer.sign(request, { signingDate: new Date(at) })).headers as Record<string, string>;
}

export interface PostReply {
  readonly status: number;
  readonly body: { __type?: string; message?: string; [member: string]: unknown };
}

export async function post(
  url: string,
  headers: Record<string, string>,
  body: string | Uint8Array,
): Promise<PostReply> {
  const { host: _, ...sent } = headers;
  const response = await fetch(url, {
    method: 'POST',
    headers: { connection: 'close', ...sent },
    body: Buffer.from(body),
  });
  return { status: response.status, body: (await response.json()) as PostReply['body'] };
}

import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { connectApi } from './api-client.ts';
import { type Binary, binary, binaryArtifacts } from './binaries.ts';
import { provide } from './cache.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { freePort } from './ports.ts';
import { probeHttp } from './probe.ts';
import { createFolder, removeFolder } from './reaper.ts';
import { type Service, startService } from './service.ts';
import { waitFor } from './wait.ts';

export interface ControlPlaneOptions {
  signal?: AbortSignal;
}

/** etcd, kube-apiserver with RBAC and kube-controller-manager; no node, so pods stay Pending. */
export interface ControlPlane extends AsyncDisposable {
  readonly server: string;
  /** Path of the cluster admin's kubeconfig. */
  readonly kubeconfig: string;
  /** Files of a key and certificate for 127.0.0.1. */
  readonly tls: { key: string; certificate: string };
  readonly etcd: Service;
  readonly apiserver: Service;
  readonly controllerManager: Service;
  /** Runs kubectl as the admin and returns its standard output; rejects with its standard error when it fails. */
  kubectl(args: readonly string[], options?: { input?: string; signal?: AbortSignal }): Promise<string>;
  /** Path of a kubeconfig that has exactly the rights of a ServiceAccount, for an hour. */
  serviceAccountKubeconfig(namespace: string, name: string): Promise<string>;
  stop(): Promise<void>;
}

const CONTROLLERS = [
  'job-controller',
  'deployment-controller',
  'replicaset-controller',
  'garbage-collector-controller',
  'pod-garbage-collector-controller',
  'ttl-after-finished-controller',
  'namespace-controller',
  'serviceaccount-controller',
  // Quotas reject everything until it has counted.
  'resourcequota-controller',
  // `view`, `edit` and `admin` aggregate the roles labelled for them.
  'clusterrole-aggregation-controller',
  // Pods that mount their ServiceAccount's token get the CA from the ConfigMap that this controller writes.
  'root-ca-certificate-publisher-controller',
];

const NEEDED: readonly Binary[] = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'];
const TOKEN_SECONDS = 3600;
const KUBECTL_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Starts a separate control plane on free loopback ports; ready in 3 to 6 s if the binaries exist. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { signal } = options;
  await provide(binaryArtifacts(NEEDED), { signal });
  const folder = createFolder('control-plane');
  await using started = new AsyncDisposableStack();
  started.defer(() => removeFolder(folder));
  const etcd = started.use(await startEtcd(folder, signal));
  const files = writeCredentials(folder);
  const apiserver = started.use(await startApiserver(folder, etcd.url, files, signal));
  const kubeconfig = join(folder, 'admin.kubeconfig');
  const certificateAuthority = readFileSync(files.certificate, 'utf8');
  writeKubeconfig(kubeconfig, { server: apiserver.url, certificateAuthority, user: 'admin', token: files.adminToken });
  const controllerManager = started.use(await startControllerManager(folder, kubeconfig, files, signal));
  await waitForControllers(kubeconfig, signal);
  const kubectl = await binary('kubectl', signal);
  const stack = started.move();
  return {
    server: apiserver.url,
    kubeconfig,
    tls: { key: join(files.certificateFolder, 'apiserver.key'), certificate: files.certificate },
    etcd,
    apiserver,
    controllerManager,
    kubectl: (args, { input = '', signal: abort } = {}) =>
      execute(kubectl, ['--kubeconfig', kubeconfig, '--cache-dir', join(folder, 'kubectl'), ...args], input, abort),
    async serviceAccountKubeconfig(namespace, name) {
      const path = join(folder, `${namespace}.${name}.${randomBytes(4).toString('hex')}.kubeconfig`);
      const token = await requestToken(kubeconfig, namespace, name);
      writeKubeconfig(path, { server: apiserver.url, certificateAuthority, user: name, token, namespace });
      return path;
    },
    stop: () => stack.disposeAsync(),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** The data folder belongs to the control plane, not to one of its processes. */
const keepFolder = async () => undefined;

async function startEtcd(folder: string, signal?: AbortSignal): Promise<Service & { url: string }> {
  const [port, peerPort] = [await freePort(), await freePort()];
  const [url, peerUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
  const service = await startService({
    name: 'etcd',
    command: await binary('etcd', signal),
    args: [
      ...['--data-dir', join(folder, 'etcd'), '--unsafe-no-fsync', '--log-level', 'warn'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', `default=${peerUrl}`],
    ],
    folder,
    env: GO_SERVER,
    ready: async () => (await probeHttp(`${url}/health`)).status === 200,
    cleanUp: keepFolder,
    signal,
  });
  return Object.assign(service, { url });
}

/** Servers that live for a minute collect less garbage: a quarter less CPU for 100 MB more memory. */
const GO_SERVER = { ...process.env, GOGC: '400' };

interface CredentialFiles {
  /** Created by the API server; contains its certificate and the signing CA. */
  certificate: string;
  certificateFolder: string;
  serviceAccountKey: string;
  tokens: string;
  adminToken: string;
}

function writeCredentials(folder: string): CredentialFiles {
  const certificateFolder = join(folder, 'certificates');
  const files = {
    certificateFolder,
    certificate: join(certificateFolder, 'apiserver.crt'),
    serviceAccountKey: join(folder, 'service-account.key'),
    tokens: join(folder, 'tokens.csv'),
    adminToken: randomBytes(16).toString('hex'),
  };
  mkdirSync(certificateFolder);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(files.serviceAccountKey, privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
  writeFileSync(files.tokens, `${files.adminToken},admin,admin,"system:masters"\n`, { mode: 0o600 });
  return files;
}

async function startApiserver(
  folder: string,
  etcdUrl: string,
  files: CredentialFiles,
  signal?: AbortSignal,
): Promise<Service & { url: string }> {
  const port = await freePort();
  const url = `https://127.0.0.1:${port}`;
  const flags = {
    'etcd-servers': etcdUrl,
    'bind-address': '127.0.0.1',
    'advertise-address': '127.0.0.1',
    'secure-port': port,
    'cert-dir': files.certificateFolder,
    'token-auth-file': files.tokens,
    'authorization-mode': 'RBAC',
    'service-account-issuer': 'https://kubernetes.default.svc',
    'service-account-key-file': files.serviceAccountKey,
    'service-account-signing-key-file': files.serviceAccountKey,
    'service-cluster-ip-range': '10.0.0.0/24',
    // Endpoints of the `kubernetes` Service must not be loopback addresses; nothing here reads them.
    'endpoint-reconciler-type': 'none',
    // The address from which it fetches logs.
    'kubelet-preferred-address-types': 'InternalIP',
    // A graceful shutdown would wait for every open watch.
    'shutdown-delay-duration': '0s',
  };
  const service = await startService({
    name: 'kube-apiserver',
    command: await binary('kube-apiserver', signal),
    args: toArguments(flags),
    folder,
    env: GO_SERVER,
    ready: async () => (await probeHttp(`${url}/readyz`)).status === 200,
    graceMs: 1000,
    cleanUp: keepFolder,
    signal,
  });
  return Object.assign(service, { url });
}

async function startControllerManager(
  folder: string,
  kubeconfig: string,
  files: CredentialFiles,
  signal?: AbortSignal,
): Promise<Service> {
  const port = await freePort();
  const flags = {
    kubeconfig,
    'bind-address': '127.0.0.1',
    'secure-port': port,
    'cert-dir': join(folder, 'controller-manager'),
    controllers: CONTROLLERS.join(','),
    'service-account-private-key-file': files.serviceAccountKey,
    'root-ca-file': files.certificate,
    'leader-elect': false,
  };
  return await startService({
    name: 'kube-controller-manager',
    command: await binary('kube-controller-manager', signal),
    args: toArguments(flags),
    folder,
    env: GO_SERVER,
    ready: async () => (await probeHttp(`https://127.0.0.1:${port}/healthz`)).status === 200,
    graceMs: 1000,
    cleanUp: keepFolder,
    signal,
  });
}

function toArguments(flags: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}

/** Pods can be created in a namespace once its default ServiceAccount exists, which a controller creates. */
async function waitForControllers(kubeconfig: string, signal?: AbortSignal): Promise<void> {
  await using api = connectApi(kubeconfig);
  await waitFor(() => api.get('/api/v1/namespaces/default/serviceaccounts/default', signal), {
    for: 'kube-controller-manager to create the default ServiceAccount',
    ...(signal === undefined ? {} : { signal }),
  });
}

const TokenRequest = z.object({ status: z.object({ token: z.string() }) });

async function requestToken(kubeconfig: string, namespace: string, name: string): Promise<string> {
  await using api = connectApi(kubeconfig);
  const answer = await api.create(`/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: TOKEN_SECONDS },
  });
  return TokenRequest.parse(answer).status.token;
}

function execute(command: string, args: string[], input: string, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: KUBECTL_OUTPUT_BYTES, ...(signal === undefined ? {} : { signal }) };
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`kubectl ${args.slice(4).join(' ')}: ${stderr.trim() || error.message}`, { cause: error }));
    });
    // kubectl may exit without reading its input.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

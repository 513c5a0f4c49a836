import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Artifact, CACHE, provide, requireTool } from './cache.ts';
import { findKubectl } from './kubectl.ts';
import { runCommand } from './processes.ts';
import { createFolder, removeFolder } from './reaper.ts';

/** The modules that pin our tools: folder under `tools/`, the module that carries the version, packages by binary. */
const MODULES = {
  'nats-server': {
    module: 'github.com/nats-io/nats-server/v2',
    packages: { 'nats-server': 'github.com/nats-io/nats-server/v2' },
  },
  etcd: { module: 'go.etcd.io/etcd/server/v3', packages: { etcd: 'go.etcd.io/etcd/server/v3' } },
  kubernetes: {
    module: 'k8s.io/kubernetes',
    packages: {
      'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
      'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
      kubectl: 'k8s.io/kubernetes/cmd/kubectl',
    },
  },
  helm: {
    module: 'helm.sh/helm/v4',
    packages: {
      helm: 'helm.sh/helm/v4/cmd/helm',
      'helm-unittest': 'github.com/helm-unittest/helm-unittest/cmd/helm-unittest',
    },
  },
  promtool: {
    module: 'github.com/prometheus/prometheus',
    packages: { promtool: 'github.com/prometheus/prometheus/cmd/promtool' },
  },
} as const;

export type Binary =
  | 'nats-server'
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kubectl'
  | 'helm'
  | 'helm-unittest'
  | 'promtool';

/** Binaries of a cluster in the order of their size, so that the first one is ready soon. */
export const BINARIES: readonly Binary[] = [
  'nats-server',
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kubectl',
];

/** Binaries that only the chart's tests need. */
export const CHART_TOOLS: readonly Binary[] = ['helm', 'helm-unittest', 'promtool'];

/** CPU seconds of each build after those before it in its lane: shared code is compiled once. */
const WEIGHTS: Readonly<Record<Binary, number>> = {
  'nats-server': 50,
  etcd: 45,
  'kube-apiserver': 330,
  'kube-controller-manager': 130,
  kubectl: 50,
  helm: 110,
  'helm-unittest': 15,
  promtool: 120,
};
/** Kubernetes takes longest and shares most; meanwhile the other lane downloads or links, or vice versa. */
const laneOf = (folder: string) => (folder === 'kubernetes' ? 'kubernetes' : 'go');

/** Promtool is built without its service discovery, which is most of its code and unused here. */
const BUILD_TAGS: Readonly<Partial<Record<string, string>>> = { promtool: 'remove_all_sd' };

/**
 * The path of a binary: from the folder `KUBEBUILDER_ASSETS` if it is there (as with envtest), else from the cache,
 * where the ordinary `go` client builds it from the Go module proxy the first time. A kubectl on the PATH that
 * is compatible with our API server saves its build.
 *
 * @throws MissingToolError without `go`; ProcessError with the compiler's output when the build fails
 */
export async function binary(name: Binary, signal?: AbortSignal): Promise<string> {
  const given = givenBinary(name);
  if (given !== undefined) return given;
  const artifact = binaryArtifact(name);
  await provide([artifact], { signal });
  return artifact.path;
}

/** The artifacts that {@link binary} has to build if it is missing; none for those already on this machine. */
export function binaryArtifacts(names: readonly Binary[]): Artifact[] {
  return names.filter((name) => givenBinary(name) === undefined).map(binaryArtifact);
}

function givenBinary(name: Binary): string | undefined {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  const path = assets ? join(assets, name) : undefined;
  if (path !== undefined && existsSync(path)) return path;
  return name === 'kubectl' && !existsSync(binaryArtifact(name).path) ? findKubectl(versionOf(name)) : undefined;
}

function binaryArtifact(name: Binary): Artifact {
  const [folder, { packages }] = moduleOf(name);
  const source = sourceOf(folder);
  const [goMod, goSum] = ['go.mod', 'go.sum'].map((file) => readFileSync(join(source, file), 'utf8'));
  const version = versionOf(name);
  const key = createHash('sha256').update(`${goMod}${goSum}`).digest('hex').slice(0, 12);
  const platform = `${process.platform}-${process.arch}`;
  return {
    title: `${name} ${version}`,
    path: join(CACHE, 'bin', `${folder}-${version}-${platform}-${key}`, name),
    lane: laneOf(folder),
    weight: WEIGHTS[name],
    async build(to, signal) {
      requireTool('go', `build ${name} ${version} (or set KUBEBUILDER_ASSETS to a folder that has it)`);
      const importPath = (packages as Readonly<Partial<Record<Binary, string>>>)[name] as string;
      const flags = ['-ldflags', linkerFlags(folder, version), '-tags', BUILD_TAGS[folder] ?? ''];
      await goBuild(name, source, to, importPath, flags, signal);
    },
  };
}

const sourceOf = (folder: string) => fileURLToPath(new URL(`./tools/${folder}`, import.meta.url));

/** The version pinned by its module: `v1.34.4`. */
function versionOf(name: Binary): string {
  const [folder, { module }] = moduleOf(name);
  const goMod = readFileSync(join(sourceOf(folder), 'go.mod'), 'utf8');
  const version = new RegExp(`^\\s*(?:require )?${module} (v\\S+)`, 'm').exec(goMod)?.[1];
  if (version === undefined) throw new Error(`${sourceOf(folder)}/go.mod does not require ${module}`);
  return version;
}

function moduleOf(name: Binary) {
  const found = Object.entries(MODULES).find(([, { packages }]) => name in packages);
  if (found === undefined) throw new Error(`No module has ${name}`);
  return found;
}

/** Built outside its repository, Kubernetes does not know its own version and would report 0.0.0. */
function linkerFlags(folder: string, version: string): string {
  const flags = ['-s', '-w'];
  if (folder === 'kubernetes') {
    const [major, minor] = version.slice(1).split('.');
    for (const name of ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']) {
      const values = { gitVersion: version, gitMajor: major, gitMinor: minor };
      for (const [variable, value] of Object.entries(values)) flags.push('-X', `${name}.${variable}=${value}`);
    }
  }
  return flags.join(' ');
}

/** The compiler spends a quarter of its time collecting garbage that ends with it; a large package still fits. */
const COMPILER_MEMORY = { GOGC: '400', GOMEMLIMIT: '2GiB' };

async function goBuild(
  name: string,
  source: string,
  to: string,
  importPath: string,
  flags: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const folder = createFolder('go-build');
  try {
    await runCommand({
      name: `build-${name}`,
      command: 'go',
      args: ['build', '-trimpath', '-gcflags=all=-dwarf=false', ...flags, '-o', to, importPath],
      cwd: source,
      folder,
      env: { ...process.env, ...COMPILER_MEMORY, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' },
      signal,
    });
  } finally {
    await removeFolder(folder);
  }
}

/** A container's environment variables and command line, as the kubelet would make them. */
import { dirname, join } from 'node:path';
import type { ApiClient } from '../api-client.ts';
import type { ContainerSpec, Pod, PodSpec } from './pod-spec.ts';
import { MissingSourceError, type PodPlace, readSource, resolveField } from './sources.ts';

/** The stand-in for a container image: a local command. */
export interface Image {
  /** A container's `command` replaces it; its `args` are appended. */
  entrypoint: readonly string[];
  cwd?: string;
  env?: Readonly<Record<string, string>>;
}

/** A mount of the container: its path in the pod spec and the real folder or file. */
export interface Mount {
  mountPath: string;
  hostPath: string;
}

export interface CommandContext {
  api: ApiClient;
  pod: Pod;
  spec: PodSpec;
  place: PodPlace;
  image: Image;
  mounts: readonly Mount[];
  /** The container's own scratch folder. */
  folder: string;
  /** Path of the kubeconfig of the pod's ServiceAccount, if the container mounts its token. */
  kubeconfig: string | undefined;
}

export interface Command {
  command: string;
  args: string[];
  env: Record<string, string>;
  cwd: string;
  mounts: readonly Mount[];
}

/**
 * Resolves everything that a container needs to start.
 *
 * @throws MissingSourceError when a required ConfigMap or Secret, or a key of it, does not exist
 */
export async function resolveCommand(
  container: ContainerSpec,
  context: CommandContext,
  signal: AbortSignal,
): Promise<Command> {
  const { image, mounts, folder } = context;
  const declared = await declaredVariables(container, context, signal);
  const variables = Object.fromEntries([...declared].map(([name, value]) => [name, rewritePath(value, mounts)]));
  const argv = [...(container.command.length > 0 ? container.command : image.entrypoint), ...container.args];
  const [command = '', ...args] = argv.map((argument) => rewriteArgument(expand(argument, declared), mounts));
  return {
    command,
    args,
    env: { ...baseVariables(context), ...image.env, ...variables },
    cwd: container.workingDir === undefined ? (image.cwd ?? folder) : rewritePath(container.workingDir, mounts),
    mounts,
  };
}

/** Of the caller's environment only the PATH, with our own `node` first. */
function baseVariables({ folder, pod, kubeconfig }: CommandContext): Record<string, string> {
  return {
    PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? '/usr/bin:/bin'}`,
    HOME: folder,
    TMPDIR: folder,
    HOSTNAME: pod.metadata.name,
    ...(kubeconfig === undefined ? {} : { KUBECONFIG: kubeconfig }),
  };
}

async function declaredVariables(
  container: ContainerSpec,
  context: CommandContext,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const variables = new Map(Object.entries(context.image.env ?? {}));
  const { api, pod } = context;
  const read = sourceReader(api, pod.metadata.namespace, signal);
  for (const { prefix, configMapRef, secretRef } of container.envFrom) {
    for (const [kind, ref] of [['configmap', configMapRef] as const, ['secret', secretRef] as const]) {
      if (ref === undefined) continue;
      for (const [key, value] of await read(kind, ref)) variables.set(prefix + key, value.toString('utf8'));
    }
  }
  for (const { name, value, valueFrom } of container.env) {
    if (valueFrom === undefined) {
      variables.set(name, expand(value ?? '', variables));
    } else if (valueFrom.fieldRef !== undefined) {
      variables.set(name, resolveField(valueFrom.fieldRef.fieldPath, pod, context.spec, context.place));
    } else {
      const [kind, ref] =
        valueFrom.secretKeyRef === undefined
          ? (['configmap', valueFrom.configMapKeyRef] as const)
          : (['secret', valueFrom.secretKeyRef] as const);
      if (ref === undefined) continue;
      const found = (await read(kind, ref)).get(ref.key);
      if (found !== undefined) variables.set(name, found.toString('utf8'));
      else if (!ref.optional) throw new MissingSourceError(`${kind} "${ref.name}" has no key "${ref.key}"`);
    }
  }
  return variables;
}

/** Reads each ConfigMap and Secret once per start, however many variables come from it. */
function sourceReader(api: ApiClient, namespace: string, signal: AbortSignal) {
  const seen = new Map<string, Promise<Map<string, Buffer>>>();
  return (kind: 'configmap' | 'secret', ref: { name: string; optional: boolean }) => {
    const key = `${kind}/${ref.name}/${ref.optional}`;
    const reading = seen.get(key) ?? readSource(api, kind, namespace, ref, signal);
    seen.set(key, reading);
    return reading;
  };
}

/** `$(NAME)` becomes the variable's value, `$$` a dollar sign; an unknown reference stays as it is (k8s third_party/forked/golang/expansion). */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(/\$(\$|\(([^()]*)\))/g, (whole, rest: string, name: string | undefined) =>
    rest === '$' ? '$' : (variables.get(name ?? '') ?? whole),
  );
}

/** {@link rewritePath} for a command line, where the path may follow a `--flag=`. */
export function rewriteArgument(argument: string, mounts: readonly Mount[]): string {
  const flag = /^--?[\w.-]+=/.exec(argument)?.[0] ?? '';
  return flag + rewritePath(argument.slice(flag.length), mounts);
}

/**
 * Processes see the machine's files, not the pod's: a path below a `mountPath` is replaced by the real one.
 * That works for variables and arguments that are such a path, not for paths that a program has built in.
 */
export function rewritePath(value: string, mounts: readonly Mount[]): string {
  const mount = mounts
    .filter(({ mountPath }) => value === mountPath || value.startsWith(withSlash(mountPath)))
    .sort((one, other) => other.mountPath.length - one.mountPath.length)[0];
  return mount === undefined ? value : join(mount.hostPath, value.slice(mount.mountPath.length));
}

function withSlash(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}

/**
 * The part of a pod that this node understands. The schemas are strict: a field that is neither here nor on a list of
 * deliberately ignored fields fails the pod, so that no test passes because something was silently left out.
 */
import { z } from 'zod';

/** Accepted without effect: they place, restrict or measure containers, and processes here share one machine. */
const IGNORED_IN_POD = [
  'affinity',
  'dnsConfig',
  'dnsPolicy',
  'enableServiceLinks',
  'hostname',
  'imagePullSecrets',
  'nodeSelector',
  'overhead',
  'preemptionPolicy',
  'priority',
  'priorityClassName',
  'resources',
  'runtimeClassName',
  'schedulerName',
  'schedulingGates',
  'securityContext',
  'serviceAccount',
  'setHostnameAsFQDN',
  'subdomain',
  'tolerations',
  'topologySpreadConstraints',
] as const;

/** `ports` are documentation in Kubernetes too, except for the names that probes use; `hostPort`s need no mapping. */
const IGNORED_IN_CONTAINER = ['imagePullPolicy', 'resources', 'securityContext'] as const;

/** Folders here belong to the user who runs the tests, whatever their mode. */
const IGNORED_IN_MOUNT = ['readOnly', 'recursiveReadOnly', 'mountPropagation'] as const;

const Ignored = z.unknown().optional();

function ignored<K extends string>(fields: readonly K[]) {
  return Object.fromEntries(fields.map((field) => [field, Ignored])) as Record<K, typeof Ignored>;
}

const Text = z.string();
const Texts = z.array(Text);
const Port = z.union([z.number(), Text]);

/** The fields that `resolveField` supports. */
const FIELD =
  /^(metadata\.(name|namespace|uid)|metadata\.(labels|annotations)(\['[^']+'\])?|spec\.(nodeName|serviceAccountName)|status\.(pod|host)IPs?)$/;
const FieldRef = z.strictObject({
  apiVersion: Text.optional(),
  fieldPath: Text.regex(FIELD, { error: ({ input }) => `${input} is not known` }),
});
const KeyRef = z.strictObject({ name: Text.default(''), key: Text, optional: z.boolean().default(false) });
const SourceRef = z.strictObject({ name: Text.default(''), optional: z.boolean().default(false) });

const EnvVar = z.strictObject({
  name: Text,
  value: Text.optional(),
  valueFrom: z
    .strictObject({
      fieldRef: FieldRef.optional(),
      configMapKeyRef: KeyRef.optional(),
      secretKeyRef: KeyRef.optional(),
    })
    .optional(),
});

const EnvFrom = z.strictObject({
  prefix: Text.default(''),
  configMapRef: SourceRef.optional(),
  secretRef: SourceRef.optional(),
});

const ExecAction = z.strictObject({ command: Texts.default([]) });
const HttpGetAction = z.strictObject({
  path: Text.default('/'),
  port: Port,
  host: Text.optional(),
  scheme: z.enum(['HTTP', 'HTTPS']).default('HTTP'),
  httpHeaders: z.array(z.strictObject({ name: Text, value: Text })).default([]),
});
const TcpSocketAction = z.strictObject({ port: Port, host: Text.optional() });

const Probe = z.strictObject({
  exec: ExecAction.optional(),
  httpGet: HttpGetAction.optional(),
  tcpSocket: TcpSocketAction.optional(),
  initialDelaySeconds: z.number().default(0),
  periodSeconds: z.number().default(10),
  timeoutSeconds: z.number().default(1),
  successThreshold: z.number().default(1),
  failureThreshold: z.number().default(3),
  terminationGracePeriodSeconds: z.number().optional(),
});

const PreStop = z.strictObject({
  exec: ExecAction.optional(),
  httpGet: HttpGetAction.optional(),
  sleep: z.strictObject({ seconds: z.number() }).optional(),
});

const ContainerSpec = z.strictObject({
  name: Text,
  image: Text.default(''),
  command: Texts.default([]),
  args: Texts.default([]),
  workingDir: Text.optional(),
  env: z.array(EnvVar).default([]),
  envFrom: z.array(EnvFrom).default([]),
  ports: z.array(z.looseObject({ name: Text.optional(), containerPort: z.number() })).default([]),
  volumeMounts: z
    .array(
      z.strictObject({
        ...ignored(IGNORED_IN_MOUNT),
        name: Text,
        mountPath: Text,
        subPath: Text.optional(),
      }),
    )
    .default([]),
  livenessProbe: Probe.optional(),
  readinessProbe: Probe.optional(),
  startupProbe: Probe.optional(),
  lifecycle: z.strictObject({ preStop: PreStop.optional() }).optional(),
  terminationMessagePath: Text.default('/dev/termination-log'),
  terminationMessagePolicy: z.enum(['File', 'FallbackToLogsOnError']).default('File'),
  ...ignored(IGNORED_IN_CONTAINER),
});

const InitContainerSpec = ContainerSpec.extend({ restartPolicy: z.literal('Always').optional() });

const Items = z.array(z.strictObject({ key: Text, path: Text, mode: z.number().optional() })).optional();
const Mode = z.number().optional();
const Optional = z.boolean().default(false);
const DownwardItems = z
  .array(z.strictObject({ path: Text, fieldRef: FieldRef, mode: z.number().optional() }))
  .default([]);

const ProjectedSource = z.strictObject({
  configMap: z.strictObject({ name: Text.default(''), items: Items, optional: Optional }).optional(),
  secret: z.strictObject({ name: Text.default(''), items: Items, optional: Optional }).optional(),
  downwardAPI: z.strictObject({ items: DownwardItems }).optional(),
  serviceAccountToken: z
    .strictObject({ audience: Text.optional(), expirationSeconds: z.number().default(3600), path: Text })
    .optional(),
});

const Volume = z.strictObject({
  name: Text,
  emptyDir: z.strictObject({ medium: Ignored, sizeLimit: Ignored }).optional(),
  configMap: z.strictObject({ name: Text.default(''), items: Items, optional: Optional, defaultMode: Mode }).optional(),
  secret: z
    .strictObject({ secretName: Text.default(''), items: Items, optional: Optional, defaultMode: Mode })
    .optional(),
  downwardAPI: z.strictObject({ items: DownwardItems, defaultMode: Mode }).optional(),
  projected: z.strictObject({ sources: z.array(ProjectedSource).default([]), defaultMode: Mode }).optional(),
});

const PodSpec = z.strictObject({
  containers: z.array(ContainerSpec),
  initContainers: z.array(InitContainerSpec).default([]),
  volumes: z.array(Volume).default([]),
  restartPolicy: z.enum(['Always', 'OnFailure', 'Never']).default('Always'),
  terminationGracePeriodSeconds: z.number().default(30),
  activeDeadlineSeconds: z.number().optional(),
  serviceAccountName: Text.default('default'),
  automountServiceAccountToken: z.boolean().optional(),
  nodeName: Text.optional(),
  ...ignored(IGNORED_IN_POD),
});

/** A pod as sent by the API server; `spec` is parsed by {@link parsePodSpec} when the pod is to run. */
export const Pod = z.object({
  metadata: z.object({
    name: Text,
    namespace: Text,
    uid: Text,
    labels: z.record(Text, Text).default({}),
    annotations: z.record(Text, Text).default({}),
    deletionTimestamp: Text.optional(),
    deletionGracePeriodSeconds: z.number().optional(),
  }),
  spec: z.looseObject({
    nodeName: Text.optional(),
    schedulingGates: z.array(z.unknown()).default([]),
  }),
  status: z.object({ phase: Text.default('Pending'), startTime: Text.optional() }).default({ phase: 'Pending' }),
});

export type Pod = z.output<typeof Pod>;
export type PodSpec = z.output<typeof PodSpec>;
export type ContainerSpec = z.output<typeof ContainerSpec>;
export type Volume = z.output<typeof Volume>;
export type ProjectedSource = z.output<typeof ProjectedSource>;
export type Probe = z.output<typeof Probe>;
export type Action = Pick<z.output<typeof Probe>, 'exec' | 'httpGet' | 'tcpSocket'>;
export type PreStop = z.output<typeof PreStop>;
export type RestartPolicy = PodSpec['restartPolicy'];

/** The pod requires something that this node does not support; the message names each field. */
export class UnsupportedPodSpecError extends Error {
  override readonly name = 'UnsupportedPodSpecError';
}

/** @throws UnsupportedPodSpecError naming every field that this node does not know */
export function parsePodSpec(spec: unknown): PodSpec {
  const result = PodSpec.safeParse(spec);
  if (result.success) return result.data;
  const fields = result.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => fieldPath([...issue.path, key]))
      : [`${fieldPath(issue.path)} (${issue.message})`],
  );
  throw new UnsupportedPodSpecError(`The embedded node does not support ${fields.join(', ')}`);
}

function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text}.${String(part)}`),
    'spec',
  );
}

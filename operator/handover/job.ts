import { readFileSync } from 'node:fs';
import { type EdgeMigration, LABELS } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { z } from 'zod';
import { DEFAULT_CONTAINER } from '../edge-migration/pods.ts';

/** The stage of a migration's hand-over: verify only, before every copied override has its row, or after that. */
export const HANDOVER_STAGES = ['verify', 'before', 'after'] as const;
export type HandoverStage = (typeof HANDOVER_STAGES)[number];

/** Common parameters of all hand-overs. */
export interface HandoverSettings {
  /** The Core API's namespace. */
  namespace: string;
  /** The time limit of the script; the pod has a little more. */
  timeoutSeconds: number;
  /** Table names to which Flagsmith must write, if they are configured. */
  tables: { environments?: string | undefined; serverKeys?: string | undefined; environmentsV2?: string | undefined };
}

/** The label value of all Jobs of this kind. */
const HANDOVER = 'handover';
const SCRIPT = readFileSync(new URL('./script.py', import.meta.url), 'utf8');
const MESSAGE_FILE = '/dev/termination-log';
/** For the script's output after its own time limit. */
export const LAST_WORDS_SECONDS = 30;
const KEPT_SECONDS = 86_400;

const named = z.looseObject({ name: z.string() });
const containerSchema = z.looseObject({
  name: z.string(),
  image: z.string(),
  env: z.array(named).default([]),
  volumeMounts: z.array(named).default([]),
  securityContext: z.looseObject({}).optional(),
});
const podSchema = z.object({
  metadata: z.object({ annotations: z.record(z.string(), z.string()).default({}) }),
  spec: z.looseObject({ containers: z.array(containerSchema).min(1), volumes: z.array(named).default([]) }),
});

/** The parts of a pod that decide where and as whom its containers run; all are kept. */
const POD_FIELDS = [
  'serviceAccountName',
  'imagePullSecrets',
  'securityContext',
  'nodeSelector',
  'tolerations',
  'priorityClassName',
  'runtimeClassName',
  'dnsPolicy',
  'dnsConfig',
  'hostAliases',
] as const;
/** The parts of the container that the image needs to behave as in the API; no ports, probes and hooks. */
const CONTAINER_FIELDS = ['image', 'imagePullPolicy', 'env', 'envFrom', 'workingDir', 'resources'] as const;
/** Variables with Flagsmith's database settings: they identify its container among others. */
const FLAGSMITH = /^(DATABASE_URL|DJANGO_DB_\w+|DATABASE_\w+|DJANGO_SETTINGS_MODULE)$/;

export function nameHandover({ name, uid }: Pick<EdgeMigration, 'name' | 'uid'>, stage: HandoverStage): string {
  return `${name}-${uid.slice(0, 8)}-handover-${stage}`;
}

/** Changes whenever the pods' template changes: Deployments and StatefulSets label their pods with a hash of it. */
export function nameRevision(apiPod: KubernetesObject): string {
  const { labels = {} } = apiPod.metadata;
  const { containers } = podSchema.parse(apiPod).spec;
  const hash = labels['pod-template-hash'] ?? labels['controller-revision-hash'];
  return hash ?? containers.map(({ image }) => image).join(' ');
}

/**
 * The Job that runs {@link SCRIPT} in the Core API's own image, with its environment, as its service account. The pod
 * is restricted further as far as any image allows; settings that may break an image (read-only root, numeric user) are
 * taken from the API's own pod. It has none of the API's labels, so that no Service routes to it and coverage does not
 * count it.
 */
export function buildHandover(
  migration: EdgeMigration,
  stage: HandoverStage,
  apiPod: KubernetesObject,
  { namespace, timeoutSeconds, tables }: HandoverSettings,
  attempt = 1,
) {
  const { metadata, spec } = podSchema.parse(apiPod);
  const api = chooseContainer(spec.containers, metadata.annotations[DEFAULT_CONTAINER]);
  // The token for the API server belongs to the pod for which it was projected.
  const volumes = spec.volumes.filter(
    ({ name }) => !name.startsWith('kube-api-access-') && api.volumeMounts.some((mount) => mount.name === name),
  );
  const labels = {
    [LABELS.managedBy]: 'edge-migration',
    [LABELS.projectId]: String(migration.spec?.projectId),
    [LABELS.migrationUid]: migration.uid,
    [LABELS.component]: HANDOVER,
  };
  const want = {
    project: migration.spec?.projectId,
    mode: stage === 'verify' ? 'Verify' : 'Run',
    overridesCopied: stage === 'after',
    seconds: timeoutSeconds,
    tables,
  };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: nameHandover(migration, stage),
      namespace,
      labels,
      annotations: {
        [LABELS.migration]: `${migration.namespace}/${migration.name}`,
        [LABELS.attempt]: String(attempt),
        [LABELS.generation]: String(migration.generation),
        [LABELS.coreApiRevision]: nameRevision(apiPod),
      },
    },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: timeoutSeconds + LAST_WORDS_SECONDS,
      ttlSecondsAfterFinished: KEPT_SECONDS,
      template: {
        metadata: {
          labels: { ...labels, 'sidecar.istio.io/inject': 'false' },
          annotations: { 'sidecar.istio.io/inject': 'false', 'linkerd.io/inject': 'disabled' },
        },
        spec: {
          ...pick(spec, POD_FIELDS),
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 10,
          containers: [
            {
              ...pick(api, CONTAINER_FIELDS),
              name: HANDOVER,
              command: ['python', 'manage.py', 'shell', '-c', SCRIPT],
              env: [
                ...api.env,
                { name: 'EDGE_MIGRATION_TERMINATION_MESSAGE_FILE', value: MESSAGE_FILE },
                { name: 'EDGE_MIGRATION_HANDOVER', value: JSON.stringify(want) },
              ],
              volumeMounts: api.volumeMounts.filter((mount) => volumes.some(({ name }) => name === mount.name)),
              securityContext: restrict(api.securityContext),
              terminationMessagePath: MESSAGE_FILE,
              terminationMessagePolicy: 'FallbackToLogsOnError',
            },
          ],
          volumes,
        },
      },
    },
  };
}

/** Meshes and agents add their own containers, before or after the API's. */
function chooseContainer<C extends z.infer<typeof containerSchema>>(containers: readonly C[], marked?: string): C {
  const isFlagsmith = ({ env }: C) => env.some(({ name }) => FLAGSMITH.test(name));
  return containers.find(({ name }) => name === marked) ?? containers.find(isFlagsmith) ?? containers[0]!;
}

const restrict = (own: Readonly<Record<string, unknown>> = {}) => ({
  seccompProfile: { type: 'RuntimeDefault' },
  ...own,
  allowPrivilegeEscalation: false,
  privileged: false,
  capabilities: { drop: ['ALL'] },
});

function pick<K extends string>(object: Readonly<Record<string, unknown>>, fields: readonly K[]) {
  return Object.fromEntries(
    fields.filter((field) => object[field] !== undefined).map((field) => [field, object[field]]),
  );
}

import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { z } from 'zod';

/** `optional`: a missing Secret is then reported by the check, instead of a pod that never starts. */
const source = z
  .looseObject({})
  .transform((object) => ({ ...object, optional: true }))
  .optional();

const variable = z.looseObject({
  name: z.string(),
  valueFrom: z.looseObject({ secretKeyRef: source, configMapKeyRef: source }).optional(),
});

const container = z.looseObject({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).optional(),
  imagePullPolicy: z.string().optional(),
  env: z.array(variable).default([]),
  envFrom: z.array(z.looseObject({ secretRef: source, configMapRef: source })).default([]),
  volumeMounts: z.array(z.looseObject({ name: z.string() })).default([]),
  securityContext: z.looseObject({}).optional(),
});

const deployment = z.object({
  spec: z.object({
    template: z.object({
      metadata: z.object({ labels: z.record(z.string(), z.string()).default({}) }),
      spec: z.object({
        serviceAccountName: z.string().optional(),
        securityContext: z.looseObject({}).optional(),
        imagePullSecrets: z.array(z.looseObject({})).optional(),
        priorityClassName: z.string().optional(),
        nodeSelector: z.record(z.string(), z.string()).optional(),
        tolerations: z.array(z.looseObject({})).optional(),
        affinity: z.looseObject({}).optional(),
        containers: z.array(container).min(1),
        volumes: z.array(z.looseObject({ name: z.string(), secret: source, configMap: source })).default([]),
      }),
    }),
  }),
});

const DEADLINE_SECONDS = 90;
/** If this program is killed meanwhile, the cluster removes the Job. */
const KEPT_SECONDS = 300;

/** A Job's pod ends when all of its containers have ended: a mesh's proxy would prevent that. */
const NO_MESH = { label: { 'sidecar.istio.io/inject': 'false' }, annotation: { 'linkerd.io/inject': 'disabled' } };

/**
 * A Job that runs the check of `helm test` as the operator: with the image, service account, settings and secrets of
 * its Deployment.
 *
 * @throws z.ZodError if the Deployment has an unknown form
 */
export function buildProbe(operator: KubernetesObject, namespace: string, name: string): KubernetesObject {
  const { metadata, spec } = deployment.parse(operator).spec.template;
  const { containers, volumes: all, ...place } = spec;
  // The template of the Jobs' pods is an annotation of the operator's own.
  const volumes = all.filter((volume) => !('downwardAPI' in volume));
  const { image, command, imagePullPolicy, env, envFrom, volumeMounts, securityContext } =
    containers.find((one) => one.name === 'operator') ?? containers[0]!;
  const labels = { ...metadata.labels, 'app.kubernetes.io/component': 'check', ...NO_MESH.label };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name,
      namespace,
      labels: { 'app.kubernetes.io/name': 'edge-migration', 'app.kubernetes.io/component': 'check' },
    },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: DEADLINE_SECONDS,
      ttlSecondsAfterFinished: KEPT_SECONDS,
      template: {
        metadata: { labels, annotations: NO_MESH.annotation },
        spec: {
          ...place,
          enableServiceLinks: false,
          restartPolicy: 'Never',
          volumes,
          containers: [
            {
              name: 'check',
              image,
              ...(command && { command }),
              ...(imagePullPolicy && { imagePullPolicy }),
              args: ['bin/check.ts', '--json'],
              env,
              envFrom,
              volumeMounts: volumeMounts.filter((mount) => volumes.some((volume) => volume.name === mount.name)),
              ...(securityContext && { securityContext }),
              resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
            },
          ],
        },
      },
    },
  };
}

import { hostname } from 'node:os';
import { coreSettings, edgeSettings } from '@edge-migration/identity/configuration.ts';
import { logSettings } from '@edge-migration/runtime/configuration.ts';
import { z } from 'zod';

export const seconds = z.coerce.number().int().positive();

/** What every worker has, in a pod or alone. */
export const workerSettings = {
  ...coreSettings,
  ...edgeSettings,
  ...logSettings,
  /** How long a worker goes on trying while a store fails, before it leaves the next try to the Job. */
  patienceSeconds: seconds.default(300),
};

/** What every pod of a Job has besides; the operator sets most of it. */
export const podSettings = {
  projectId: z.coerce.number().int().positive(),
  /** Uid of the EdgeMigration; what is found under its names must be of this one. */
  migrationUid: z.string().min(1),
  /** Namespace of the ConfigMaps. */
  namespace: z.string().min(1),
  /** Folder of the ranges, one file each, named by its id. */
  rangesDirectory: z.string().min(1),
  /** Index of this pod in its Job. */
  rangeIndex: z.coerce.number().int().min(0),
  /** Which index works on which range, as in `3,7,9`; when unset the index is the range's id. */
  rangeIds: z
    .string()
    .regex(/^\d+(,\d+)*$/, 'must be numbers separated by commas')
    .transform((text) => text.split(',').map(Number))
    .optional(),
  /** The checkpoint's ConfigMap is called `<checkpointName>-<range id>`. */
  checkpointName: z.string().min(1),
  /** ConfigMap that owns the checkpoints and whose key `settings` says how fast to work, and how. */
  settingsName: z.string().min(1),
  /** Name of this worker in logs and checkpoints; the pod's name. */
  instance: z.string().min(1).default(hostname()),
  /** Where the last words go, for the pod's status; nowhere when unset. In pods `/dev/termination-log`. */
  terminationMessageFile: z.string().optional(),
  /** Address of /metrics and /livez; not served when the port is unset. */
  metricsHost: z.string().default('0.0.0.0'),
  metricsPort: z.coerce.number().int().min(0).max(65_535).optional(),
};

const podConfiguration = z.object({ ...workerSettings, ...podSettings });

export type PodConfiguration = z.infer<typeof podConfiguration>;

import { hostname } from 'node:os';
import { coreSettings, edgeSettings } from '@edge-migration/identity/configuration.ts';
import { logSettings } from '@edge-migration/runtime/configuration.ts';
import { z } from 'zod';
import type { JobWork } from './work.ts';

export const seconds = z.coerce.number().int().positive();

/** Configuration of every worker, in a pod or alone. */
export const workerSettings = {
  ...coreSettings,
  ...edgeSettings,
  ...logSettings,
  /** How long a worker retries while a store fails, before it leaves the next attempt to the Job. */
  retryBudgetSeconds: seconds.default(300),
};

/** Additional configuration of every pod of a Job; the operator sets where its ranges are, and which they are. */
export const podSettings = {
  /** Folder of the ranges, one file each, named by its id. */
  rangesDirectory: z.string().min(1),
  /** Index of this pod in its Job. */
  rangeIndex: z.coerce.number().int().min(0),
  /** Name of this worker in logs and checkpoints; the pod's name. */
  instance: z.string().min(1).default(hostname()),
  /** File for the termination message in the pod's status; none if unset. In pods `/dev/termination-log`. */
  terminationMessageFile: z.string().optional(),
  /** Address of /metrics and /livez; not served when the port is unset. */
  metricsHost: z.string().default('0.0.0.0'),
  metricsPort: z.coerce.number().int().min(0).max(65_535).optional(),
};

const podConfiguration = z.object({ ...workerSettings, ...podSettings });

/** `work` is the pod's part of its migration. */
export type PodConfiguration = z.infer<typeof podConfiguration> & { readonly work: JobWork };

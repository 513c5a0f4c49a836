import { coreSettings, edgeSettings, logSettings } from '@edge-migration/identity/config/stores.ts';
import { z } from 'zod';

const seconds = z.coerce.number().int().positive();
const port = z.coerce.number().int().min(0).max(65_535);

/** Configuration of the operator process; docs/configuration.md lists the variables. */
export const operatorConfiguration = z.object({
  ...coreSettings,
  ...edgeSettings,
  ...logSettings,
  /** The operator's own namespace: its Lease, and every Job, ConfigMap and Secret of the migrations. */
  namespace: z.string().min(1).max(63),
  /** Namespaces whose EdgeMigrations are reconciled, separated by commas; all when unset. */
  watchNamespaces: z
    .string()
    .transform((text) => text.split(',').map((name) => name.trim()))
    .optional(),
  /** Name of this replica; the pod's name. */
  instance: z.string().min(1).max(253),
  /** JSON file with the pod template of copy workers: image, service account, secrets, resources. */
  workerTemplateFile: z.string().min(1),
  /** Whether migrations wait for sidecars that see Core's writes. `Disabled`: nothing is replayed. */
  capture: z.literal('Disabled').default('Disabled'),
  /** A page that a copy pod read may be written for so long; a copy is complete only after it. */
  pageMaxAgeSeconds: seconds.default(30),
  /** US dollars for a million on-demand write units, for mode Plan. */
  pricePerMillionWriteUnits: z.coerce.number().min(0).default(0.625),
  /** EdgeMigrations reconciled at the same time. */
  concurrency: z.coerce.number().int().min(1).max(64).default(4),
  /** Address of /metrics, /livez and /readyz. */
  metricsHost: z.string().default('0.0.0.0'),
  metricsPort: port.default(8080),
  leaseDurationSeconds: seconds.default(15),
  renewDeadlineSeconds: seconds.default(10),
  retryPeriodSeconds: seconds.default(2),
});

export type OperatorConfiguration = z.infer<typeof operatorConfiguration>;

import { apiTimeoutSeconds } from '@edge-migration/contract/api-timeout.ts';
import { streamSettings } from '@edge-migration/contract/streams/events.ts';
import { coreSettings, edgeSettings } from '@edge-migration/identity/configuration.ts';
import { LATE_WRITE_SECONDS } from '@edge-migration/identity/edge/late-write.ts';
import { logSettings } from '@edge-migration/runtime/configuration.ts';
import { natsSettings } from '@edge-migration/runtime/nats/connection.ts';
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
  /** Namespaces whose EdgeMigrations are reconciled, separated by commas; all if unset. */
  watchNamespaces: z
    .string()
    .transform((text) => text.split(',').map((name) => name.trim()))
    .pipe(z.array(z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be names of namespaces')))
    .optional(),
  /** Name of this replica; the pod's name. */
  instance: z.string().min(1).max(253),
  /** JSON file with the pod template of copy workers: image, service account, secrets, resources. */
  workerTemplateFile: z.string().min(1),
  /** The same for verify pods; if unset, the copy's with the other entry point. */
  verifyTemplateFile: z.string().min(1).optional(),
  /**
   * `Required`: a copy starts once every Core API pod has a sidecar that has proven that its events reach the stream,
   * and Core's writes are replayed. `Disabled`: nothing is replayed.
   */
  capture: z.enum(['Disabled', 'Required']).default('Disabled'),
  ...natsSettings,
  ...streamSettings,
  /** Needed if capture is required. */
  natsServers: natsSettings.natsServers.optional(),
  /** The namespace of the Core API's pods, and their label selector. */
  coreApiNamespace: z.string().min(1).max(63).optional(),
  coreApiSelector: z.string().min(1).max(1024).optional(),
  /** Sidecars in front of Core APIs outside Kubernetes. */
  coreApiStaticCount: z.coerce.number().int().min(0).default(0),
  /** Maximum age of a proof or report. */
  reportFreshSeconds: seconds.default(20),
  /** A page that a copy pod read may be written for this long; a copy is complete only afterwards. */
  pageMaxAgeSeconds: seconds.default(30),
  /** A range that a second pod has taken over is complete no earlier than this long after the takeover. */
  lateWriteSeconds: seconds.default(LATE_WRITE_SECONDS),
  /** The same as the appliers'; writes in a gap are certainly in Core this long after its end. */
  apiTimeoutSeconds,
  /**
   * Whether Flagsmith's own code hands a project over to Edge, in the Core API's image: `Verify` only reports what it
   * would do.
   */
  handoverMode: z.enum(['Off', 'Verify', 'Run']).default('Off'),
  handoverWhen: z.enum(['BeforeCopy', 'AfterCopy']).default('BeforeCopy'),
  handoverTimeoutSeconds: seconds.default(600),
  /** If Edge lacks data of a project, it is checked again after this time. */
  edgeReadySeconds: seconds.default(60),
  /** US dollars per million on-demand write units, for mode Plan. */
  pricePerMillionWriteUnits: z.coerce.number().min(0).default(0.625),
  /** Every cache is listed again after this time, which recovers what its watch has missed. */
  relistSeconds: seconds.default(600),
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

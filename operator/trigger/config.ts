import { coreSettings } from '@edge-migration/identity/configuration.ts';
import { logSettings } from '@edge-migration/runtime/configuration.ts';
import { certificateSettings } from '@edge-migration/runtime/http/certificate.ts';
import { z } from 'zod';
import { templateText } from './template.ts';

const port = z.coerce.number().int().min(0).max(65_535);
const namespace = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be the name of a namespace');

/** Configuration of the trigger process; docs/configuration.md lists the variables. */
export const triggerConfiguration = z.object({
  ...coreSettings,
  ...logSettings,
  /** Where EdgeMigrations are created; one that the operator watches. */
  namespace,
  /** The event bus that is served: Flagsmith's IDENTITY_MIGRATION_EVENT_BUS_NAME. */
  eventBus: z.string().regex(/^[.\-_A-Za-z0-9]{1,256}$/, 'must be the name of an event bus, not its ARN'),
  /** Directory of signing keys: each file has an access key id as its name and the secret access key in it. */
  signingKeysDirectory: z.string().min(1).optional(),
  /** Directory with `api-key`, or `username` and `password`: the credentials of an API destination. */
  apiDestinationDirectory: z.string().min(1).optional(),
  /** The header in which an API destination sends its key. */
  apiKeyHeader: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/, 'must be the name of a header')
    .transform((name) => name.toLowerCase())
    .default('x-api-key'),
  /** Plain HTTP without a certificate. */
  ...certificateSettings,
  /** JSON: `labels`, `annotations` and `spec` of the EdgeMigrations that are created. */
  migrationTemplate: templateText.default({ labels: {}, annotations: {}, spec: {} }),
  /** Address of the events' server. */
  listenHost: z.string().default('0.0.0.0'),
  listenPort: port.default(8081),
  /** Address of /metrics, /livez and /readyz. */
  metricsHost: z.string().default('0.0.0.0'),
  metricsPort: port.default(8080),
});

export type TriggerConfiguration = z.output<typeof triggerConfiguration>;

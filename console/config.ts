import { logSettings } from '@edge-migration/runtime/configuration.ts';
import { certificateSettings } from '@edge-migration/runtime/http/certificate.ts';
import { z } from 'zod';

const port = z.coerce.number().int().min(0).max(65_535);
const namespace = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be the name of a namespace');
const header = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,64}$/, 'must be the name of a header')
  .transform((name) => name.toLowerCase());
const list = (item: z.ZodString) =>
  z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .pipe(z.array(item));

/** Configuration of the console process; docs/configuration.md lists the variables. */
export const consoleConfiguration = z.object({
  ...logSettings,
  /** Where EdgeMigrations are created unless a request names another namespace. */
  namespace,
  /** Namespaces whose EdgeMigrations are shown, separated by commas; all if unset. The same as the operator's. */
  watchNamespaces: list(namespace).optional(),
  /** The operator's own namespace, where its reports are; `namespace` when unset. */
  operatorNamespace: namespace.optional(),
  /** How callers are identified: by a Kubernetes bearer token, or by headers of a trusted proxy. */
  authentication: z.enum(['Token', 'Proxy']).default('Token'),
  /** Audiences that tokens must be for, separated by commas; those of the API server when unset. */
  tokenAudiences: list(z.string().min(1).max(253)).optional(),
  /** Changes are made with the caller's own token, by impersonating the caller, or not at all. */
  writes: z.enum(['Token', 'Impersonation', 'Off']).default('Token'),
  /** Groups of callers that are used, separated by commas, with their prefix; all if unset. */
  groups: list(z.string().min(1).max(253)).optional(),
  /** File with the secret by which the trusted proxy authenticates itself. */
  proxySecretFile: z.string().min(1).optional(),
  proxySecretHeader: header.default('x-edge-migration-proxy-secret'),
  proxyUserHeader: header.default('x-forwarded-user'),
  /** Groups are separated by commas. */
  proxyGroupsHeader: header.default('x-forwarded-groups'),
  /** Prepended to the names from the proxy, as the API server does for OIDC (`-` for none). */
  proxyUserPrefix: z.string().max(64).default('oidc:'),
  proxyGroupsPrefix: z.string().max(64).default('oidc:'),
  /** The console's URL for browsers, such as https://console.example.com; needed with a proxy. */
  publicOrigin: z
    .url({ protocol: /^https?$/ })
    .transform((text) => new URL(text).origin)
    .optional(),
  /** Folder of the built page; only the API is served if it does not exist. */
  pageDirectory: z
    .string()
    .min(1)
    .default(new URL('dist', import.meta.url).pathname),
  /** Plain HTTP without a certificate. */
  ...certificateSettings,
  listenHost: z.string().default('0.0.0.0'),
  listenPort: port.default(8081),
  /** Address of /metrics, /livez and /readyz. */
  metricsHost: z.string().default('0.0.0.0'),
  metricsPort: port.default(8080),
});

export type ConsoleConfiguration = z.output<typeof consoleConfiguration>;

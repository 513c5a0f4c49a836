import { coreSettings, edgeSettings, logSettings } from '@edge-migration/identity/config/stores.ts';
import { natsSettings } from '@edge-migration/replay-sidecar/nats.ts';
import { z } from 'zod';

/** Configuration of the check of an installation: what operator and applier have, as far as it says where things are. */
export const checkConfiguration = z.object({
  ...coreSettings,
  ...edgeSettings,
  ...logSettings,
  ...natsSettings,
  /** Left out where its Secret is missing, which is then said in words. */
  databaseUrl: coreSettings.databaseUrl.optional(),
  /** Left out where nothing is captured. */
  natsServers: natsSettings.natsServers.optional(),
  watchNamespaces: z
    .string()
    .transform((text) => text.split(',').map((name) => name.trim()))
    .optional(),
  /** How long each part has to answer. */
  timeoutSeconds: z.coerce.number().int().positive().default(15),
});

export type CheckConfiguration = z.output<typeof checkConfiguration>;

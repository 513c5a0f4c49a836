import { coreSettings } from '@edge-migration/identity/configuration.ts';
import { z } from 'zod';
import { operatorConfiguration } from '../config.ts';

/** Configuration of the check of an installation: the operator's own environment, in which everything is optional. */
export const checkConfiguration = operatorConfiguration
  .partial({ namespace: true, instance: true, workerTemplateFile: true })
  .extend({
    /** Omitted if its Secret is missing, which is then reported. */
    databaseUrl: coreSettings.databaseUrl.optional(),
    /** Time limit for each part. */
    timeoutSeconds: z.coerce.number().int().positive().default(15),
  });

export type CheckConfiguration = z.output<typeof checkConfiguration>;

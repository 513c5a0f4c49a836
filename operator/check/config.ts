import { coreSettings } from '@edge-migration/identity/configuration.ts';
import { z } from 'zod';
import { operatorConfiguration } from '../config.ts';

/** Configuration of the check of an installation: the operator's own environment, of which nothing need be there. */
export const checkConfiguration = operatorConfiguration
  .partial({ namespace: true, instance: true, workerTemplateFile: true })
  .extend({
    /** Left out where its Secret is missing, which is then said in words. */
    databaseUrl: coreSettings.databaseUrl.optional(),
    /** How long each part has to answer. */
    timeoutSeconds: z.coerce.number().int().positive().default(15),
  });

export type CheckConfiguration = z.output<typeof checkConfiguration>;

import { LATE_WRITE_SECONDS } from '@edge-migration/identity/edge/late-write.ts';
import { z } from 'zod';
import { podSettings, seconds, workerSettings } from '../../job/configuration.ts';

/** What every copy has, in a pod or alone. */
const copySettings = {
  ...workerSettings,
  /** A page that was read longer ago is not written any more, but read again (docs/design.md, "Convergence", rule 4). */
  pageMaxAgeSeconds: seconds.default(30),
  /** After so long no insert that was not answered can be carried out any more (docs/design.md, "Convergence", rule 9). */
  lateWriteSeconds: seconds.default(LATE_WRITE_SECONDS),
};

/** Configuration of a copy pod; docs/configuration.md lists the variables. The operator sets most of them. */
export const workerConfiguration = z.object({
  ...copySettings,
  ...podSettings,
  /** `Plan` reads and counts only. */
  mode: z.enum(['Plan', 'Migrate']).default('Migrate'),
});

/** Configuration of a copy without Kubernetes; project, rate and page size come from the command line. */
export const standaloneConfiguration = z.object(copySettings);

export type WorkerConfiguration = z.infer<typeof workerConfiguration>;
export type StandaloneConfiguration = z.infer<typeof standaloneConfiguration>;

import { LATE_WRITE_SECONDS } from '@edge-migration/identity/edge/late-write.ts';
import { jsonDocument } from '@edge-migration/runtime/configuration.ts';
import { z } from 'zod';
import { podSettings, seconds, workerSettings } from '../../job/configuration.ts';
import { copyWorkSchema } from '../../job/work.ts';

/** Configuration of a copy pod; docs/configuration.md lists the variables. */
export const workerConfiguration = z.object({ ...workerSettings, ...podSettings, work: jsonDocument(copyWorkSchema) });

/** Configuration of a copy without Kubernetes; project, rate and page size come from the command line. */
export const standaloneConfiguration = z.object({
  ...workerSettings,
  /** A page that was read longer ago is read again instead of written (docs/design.md, "Convergence", rule 4). */
  pageMaxAgeSeconds: seconds.default(30),
  /** An unanswered insert can no longer take effect after this time (docs/design.md, "Convergence", rule 9). */
  lateWriteSeconds: seconds.default(LATE_WRITE_SECONDS),
});

export type WorkerConfiguration = z.infer<typeof workerConfiguration>;
export type StandaloneConfiguration = z.infer<typeof standaloneConfiguration>;

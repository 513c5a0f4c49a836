import { LATE_WRITE_SECONDS } from '@edge-migration/identity/edge/late-write.ts';
import { jsonDocument } from '@edge-migration/runtime/configuration.ts';
import { z } from 'zod';
import { podSettings, seconds, workerSettings } from '../../job/configuration.ts';
import { verifyWorkSchema } from '../../job/work.ts';

/** Configuration of every comparison, in a pod or alone. */
const verifySettings = {
  ...workerSettings,
  /** Without replay: a difference is compared again after this time. */
  settleSeconds: seconds.default(5),
  /** How long to wait for replay before differences are accepted as findings. */
  replayWaitSeconds: seconds.default(900),
};

/** Configuration of a pod that compares; docs/configuration.md lists the variables. */
export const verifyConfiguration = z.object({
  ...verifySettings,
  ...podSettings,
  work: jsonDocument(verifyWorkSchema),
});

/** Configuration of a comparison without Kubernetes; the rest comes from the command line. */
export const standaloneVerifyConfiguration = z.object({
  ...verifySettings,
  /** A repair's unanswered write can no longer take effect after this time (docs/design.md, "Convergence", rule 9). */
  lateWriteSeconds: seconds.default(LATE_WRITE_SECONDS),
});

export type VerifyConfiguration = z.infer<typeof verifyConfiguration>;
export type StandaloneVerifyConfiguration = z.infer<typeof standaloneVerifyConfiguration>;

import { LATE_WRITE_SECONDS } from '@edge-migration/identity/edge/late-write.ts';
import { jsonDocument } from '@edge-migration/runtime/configuration.ts';
import { z } from 'zod';
import { podSettings, seconds, workerSettings } from '../../job/configuration.ts';
import { verifyWorkSchema } from '../../job/work.ts';

/** What every comparison has, in a pod or alone. */
const verifySettings = {
  ...workerSettings,
  /** Where nothing is replayed: how long after a difference was seen it is looked at again. */
  settleSeconds: seconds.default(5),
  /** How long replay is waited for before what differs is taken as it is. */
  replayPatienceSeconds: seconds.default(900),
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
  /** After so long no write of a repair that was not answered can be carried out any more (docs/design.md, "Convergence", rule 9). */
  lateWriteSeconds: seconds.default(LATE_WRITE_SECONDS),
});

export type VerifyConfiguration = z.infer<typeof verifyConfiguration>;
export type StandaloneVerifyConfiguration = z.infer<typeof standaloneVerifyConfiguration>;

import { LATE_WRITE_SECONDS } from '@edge-migration/identity/edge/late-write.ts';
import { z } from 'zod';
import { podSettings, seconds, workerSettings } from '../../job/configuration.ts';

/** What every comparison has, in a pod or alone. */
const verifySettings = {
  ...workerSettings,
  /** Where nothing is replayed: how long after a difference was seen it is looked at again. */
  settleSeconds: seconds.default(5),
  /** How long replay is waited for before what differs is taken as it is. */
  replayPatienceSeconds: seconds.default(900),
  /** After so long no write of a repair that was not answered can be carried out any more (docs/design.md, "Convergence", rule 9). */
  lateWriteSeconds: seconds.default(LATE_WRITE_SECONDS),
};

/** Configuration of a pod that compares; docs/configuration.md lists the variables. The operator sets most of them. */
export const verifyConfiguration = z.object({
  ...verifySettings,
  ...podSettings,
  mode: z.enum(['Report', 'Repair']).default('Report'),
  /** Once the replay window has closed, Edge is the master, and a repair only inserts what it lacks. */
  moment: z.enum(['AfterCopy', 'AtDeadline']).default('AfterCopy'),
  onConflict: z.enum(['KeepEdge', 'CoreWins']).default('KeepEdge'),
  /** Samples with identifiers instead of their hashes. */
  clearIdentifiers: z.stringbool().default(false),
});

/** Configuration of a comparison without Kubernetes; the rest comes from the command line. */
export const standaloneVerifyConfiguration = z.object(verifySettings);

export type VerifyConfiguration = z.infer<typeof verifyConfiguration>;
export type StandaloneVerifyConfiguration = z.infer<typeof standaloneVerifyConfiguration>;

import type { CopyStatus, Status } from '@edge-migration/contract/edge-migration/api.ts';
import { type Findings, shorten } from './conditions.ts';

/** The message length that the CRD allows, and how far messages are cut when the status grows too large. */
const MESSAGE_LENGTHS = [1024, 512, 256, 128, 64];
const SHORTEST_MESSAGE = 32;
const LARGEST_STATUS_BYTES = 4096;

/** The status with the longest messages that fit: it is read often, by many, and stays small. */
export function fitStatus(build: (messageLength: number) => Status): Status {
  const isSmall = (status: Status) => Buffer.byteLength(JSON.stringify(status)) <= LARGEST_STATUS_BYTES;
  for (const length of MESSAGE_LENGTHS) {
    const status = build(length);
    if (isSmall(status)) return status;
  }
  return build(SHORTEST_MESSAGE);
}

/** Phase, message and progress: for people and printer columns, computed from the conditions and never read back. */
export function summarise(
  findings: Findings,
  copy: CopyStatus | undefined,
  messageLength: number,
): Pick<Status, 'phase' | 'message' | 'progress'> {
  return {
    phase: namePhase(findings),
    message: shorten(chooseMessage(findings), messageLength),
    ...(copy?.identitiesTotal === undefined ? {} : { progress: describeProgress(copy) }),
  };
}

function namePhase({ Accepted, Copied, Replaying, Suspended, Succeeded, Degraded }: Findings): string {
  if (Succeeded.status === 'False') return 'Failed';
  if (Accepted.status !== 'True') return 'Rejected';
  if (Succeeded.status === 'True') return Succeeded.reason === 'Planned' ? 'Planned' : 'Succeeded';
  if (Suspended.status === 'True') return 'Suspended';
  if (Replaying.status === 'True') return 'Replaying';
  if (Copied.reason === 'RangesFailed') return 'Retrying';
  return Degraded.status === 'True' && Copied.status === 'True' ? 'Degraded' : Copied.reason;
}

function chooseMessage({ Accepted, Degraded, Succeeded, Copied, EdgeReady }: Findings): string {
  if (Accepted.status !== 'True') return Accepted.message;
  if (Degraded.status === 'True') return Degraded.message;
  // All identities are there, but Edge cannot answer for them: that is the news.
  if (Copied.status === 'True' && EdgeReady?.status === 'False') return EdgeReady.message;
  return Succeeded.status === 'True' ? Succeeded.message : Copied.message;
}

function describeProgress({ identitiesRead = 0, identitiesTotal = 0 }: CopyStatus): string {
  const share = identitiesTotal === 0 ? 100 : Math.min(100, Math.floor((identitiesRead / identitiesTotal) * 100));
  return `${identitiesRead}/${identitiesTotal} (${share}%)`;
}

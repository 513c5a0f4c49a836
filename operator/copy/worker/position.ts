import { createHash } from 'node:crypto';
import type { CoreEnvironment, CoreIdentity } from '@edge-migration/identity/core/identity.ts';
import { boundOf } from '@edge-migration/identity/core/pages.ts';
import type { Checkpoint, Position } from '../checkpoint.ts';
import type { Segment } from '../ranges.ts';

/** Number of pages whose ends are remembered, in case the last one's identity is deleted or renamed before a resume. */
const REMEMBERED = 4;

/** A position in a running copy, which has the identifier. */
export interface StartPosition {
  readonly position: Position;
  /** Identifier or id to start behind; null starts at the beginning of the segment. */
  readonly after: string | null;
}

/** Denotes an identity without its identifier. */
export function identityMark({ id, identifier }: Pick<CoreIdentity, 'id' | 'identifier'>) {
  return { id, hash: createHash('sha256').update(identifier).digest('hex').slice(0, 16) };
}

/** The positions to remember, newest first; the start of the newest one's segment is always kept. */
export function rememberPosition(positions: readonly Position[], position: Position): Position[] {
  const same = positions.filter(({ segment }) => segment === position.segment);
  const start = same.findLast(({ identity }) => identity === null);
  const recent = [position, ...same.filter(({ identity }) => identity !== null)].slice(0, REMEMBERED);
  return start === undefined || position.identity === null ? recent : [...recent, start];
}

export type IdentityLookup = (
  environment: Pick<CoreEnvironment, 'id'>,
  id: number,
) => Promise<CoreIdentity | undefined>;

/**
 * Where to resume a range: behind the newest remembered identity that Core still has under its identifier. Undefined
 * if there is none: the range starts over.
 */
export async function findStartPosition(
  { positions }: Checkpoint,
  segments: readonly Segment[],
  lookUp: IdentityLookup,
): Promise<StartPosition | undefined> {
  for (const position of positions) {
    const segment = segments[position.segment];
    // Past the last segment: all is done.
    if (position.identity === null) return { position, after: segment?.after ?? null };
    if (segment === undefined) continue;
    const identity = await lookUp({ id: segment.environmentId }, position.identity.id);
    if (identity !== undefined && identityMark(identity).hash === position.identity.hash) {
      return { position, after: boundOf(identity, segment.order) };
    }
  }
  return undefined;
}

import { type Finding, stateOf } from '@edge-migration/identity/edge/verdict.ts';
import { z } from 'zod';
import { type Comparison, type ComparisonKey, identityIdOf } from './comparison.ts';

const isFinding = (value: unknown) =>
  typeof value === 'object' && value !== null && 'kinds' in value && Array.isArray(value.kinds);

/** What was found before a repair; it is counted once a later comparison shows that the repair has held. */
const repairedSchema = z.object({
  identity: z.enum(['equal', 'differing', 'missing', 'skipped']).optional(),
  document: z.enum(['matched', 'extra', 'edgeBorn']).optional(),
  identityId: z.number().optional(),
  finding: z.custom<Finding>(isFinding),
});

/** An observed difference that may be a write in flight, or whose repair may be lost to a write of another region. */
export const candidateSchema = z.object({
  kind: z.enum(['identity', 'misplaced', 'row', 'regionDocument', 'regionRow']),
  environmentId: z.number(),
  identifier: z.string(),
  key: z.string(),
  row: z.object({ environment_id: z.string(), document_key: z.string() }).optional(),
  /** The other region that has it. */
  region: z.string().optional(),
  /** The state of both sides when they were last compared. */
  state: z.string(),
  /** Omitted if it was not repaired. Earlier releases ignore it, and take it for a difference that they have not repaired. */
  repaired: repairedSchema.optional(),
});

export type Candidate = z.infer<typeof candidateSchema>;

/** One that was repaired, and is to be compared again. */
export type RepairedCandidate = Candidate & { readonly repaired: NonNullable<Candidate['repaired']> };

export const isRepaired = (candidate: Candidate): candidate is RepairedCandidate => candidate.repaired !== undefined;

export function toCandidate(comparison: Comparison): Candidate {
  const { kind, environment, pair } = comparison;
  return { kind, environmentId: environment.id, ...toKey(comparison), state: stateOf(pair) };
}

/** Longer details of a finding are not kept, because candidates share a ConfigMap; its kinds are. */
const MOST_DETAILS = 500;

/** @param comparison the one before the repair */
export function toRepaired(comparison: Comparison): RepairedCandidate {
  const { identity, document, finding = { kinds: [] } } = comparison.verdict;
  const kept = JSON.stringify(finding).length <= MOST_DETAILS ? finding : { kinds: finding.kinds };
  const repaired = { identity, document, identityId: identityIdOf(comparison.pair), finding: kept };
  return { ...toCandidate(comparison), repaired };
}

export const toKey = ({ identifier, key, row, region }: Candidate | Comparison): ComparisonKey => ({
  identifier,
  key,
  ...(row && { row }),
  ...(region !== undefined && { region }),
});

/** The same text for the same identity, document or row. */
export const placeOf = ({ kind, environmentId, identifier, key, row, region }: Candidate): string =>
  JSON.stringify([kind, environmentId, identifier, key, row?.environment_id, row?.document_key, region]);

/** Maximum number of candidates that are compared, and repaired, in one go. */
export const CHUNK = 50;
/** What is recorded as being repaired, or is to be compared again, as JSON: encrypted, the record has to hold it, too. */
export const MOST_REPAIRING_BYTES = 100_000;

/** The length of their identifiers in UTF-16 units. */
export function textLength(candidates: readonly Candidate[]): number {
  return candidates.reduce((length, { identifier, key }) => length + identifier.length + key.length, 0);
}

/** Where it is found again; what was found of it is saved with the candidates. */
export const toPlace = ({ repaired: _, ...place }: Candidate): Candidate => place;

/** The bytes of their places as JSON. */
export function placeBytes(candidates: readonly Candidate[]): number {
  return candidates.reduce((bytes, candidate) => bytes + Buffer.byteLength(JSON.stringify(toPlace(candidate))) + 1, 0);
}

/** Chunks of one environment and kind each, small enough to be compared in one call, and recorded as being repaired. */
export function divide<C extends Candidate>(candidates: readonly C[]): C[][] {
  const chunks: C[][] = [];
  let bytes = 0;
  for (const candidate of candidates) {
    const last = chunks.at(-1);
    const [first] = last ?? [];
    const isAlike = first?.kind === candidate.kind && first.environmentId === candidate.environmentId;
    const own = placeBytes([candidate]);
    const hasRoom = last !== undefined && last.length < CHUNK && bytes + own <= MOST_REPAIRING_BYTES;
    if (isAlike && hasRoom) last.push(candidate);
    else chunks.push([candidate]);
    bytes = isAlike && hasRoom ? bytes + own : own;
  }
  return chunks;
}

import { z } from 'zod';
import { environmentReference } from './write-event.ts';

const id = z.int().min(1).max(2_147_483_647);

/**
 * The part that an uncaptured write affects, as far as the request shows: an environment, or an object of Core that
 * leads to projects. Ids are Core's.
 */
export const writeScope = z.union([
  environmentReference,
  z.strictObject({ projectId: id }),
  z.strictObject({ organisationId: id }),
  z.strictObject({ identityId: id }),
  z.strictObject({ featureId: id }),
  z.strictObject({ featureStateId: id }),
]);

export type WriteScope = z.infer<typeof writeScope>;

/** A scope as a string, for maps. */
export function scopeName(scope: WriteScope): string {
  if ('clientKey' in scope) return `clientKey:${scope.clientKey}`;
  if ('serverKeySha256' in scope) return `serverKey:${scope.serverKeySha256}`;
  if ('environmentId' in scope) return `environment:${scope.environmentId}`;
  const [[kind, value] = []] = Object.entries(scope);
  return `${kind?.replace(/Id$/, '')}:${value}`;
}

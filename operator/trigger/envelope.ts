import { hash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { BusEvent } from './event.ts';

/** The credentials of an API destination; each is optional. */
export interface DestinationCredentials {
  readonly apiKey?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** EventBridge's own envelope, as sent by an API destination without an input transformer. */
const envelopeSchema = z.object({
  id: z.string().min(1).max(256),
  source: z.string(),
  'detail-type': z.string(),
  detail: z.unknown(),
});

/** The event in an envelope; undefined if it is not one. */
export function parseEnvelope(body: Uint8Array): BusEvent | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    const { id, source, 'detail-type': detailType, detail } = envelopeSchema.parse(JSON.parse(text));
    return { id, source, detailType, detail };
  } catch {
    return undefined;
  }
}

/**
 * Whether a request comes from the API destination: by its key, or by Basic authorization.
 *
 * @param apiKeys values of the header for API keys
 * @param authorizations values of the Authorization header
 */
export function isAuthorized(
  { apiKeys, authorizations }: { apiKeys: readonly string[]; authorizations: readonly string[] },
  { apiKey, username, password }: DestinationCredentials,
): boolean {
  const [key] = apiKeys;
  const [authorization] = authorizations;
  if (apiKey !== undefined && key !== undefined && apiKeys.length === 1 && isSame(key, apiKey)) return true;
  if (username === undefined || password === undefined) return false;
  const expected = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  return authorization !== undefined && authorizations.length === 1 && isSame(authorization, expected);
}

/** In constant time, independent of both lengths. */
const isSame = (one: string, other: string) =>
  timingSafeEqual(hash('sha256', one, 'buffer'), hash('sha256', other, 'buffer'));

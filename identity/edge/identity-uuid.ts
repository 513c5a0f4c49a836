import { hash } from 'node:crypto';

/**
 * The `identity_uuid` of an identity that Edge does not have yet. Core stores none, and Flagsmith's own migrator draws
 * a new one on every run; ours is derived from the identity's name, so that repeating a copy repeats the document.
 *
 * SHA-256 of the key's length (in UTF-16 units), a colon, the key and the identifier (the length keeps `a` + `bc` apart
 * from `ab` + `c`), cut to 128 bits in the shape of an RFC 4122 version 4 uuid, the only version that Flagsmith's readers take. Lower case with
 * dashes, because lookups are by exact string.
 */
export function identityUuid(environmentApiKey: string, identifier: string): string {
  return uuidOf(hash('sha256', `${environmentApiKey.length}:${environmentApiKey}${identifier}`, 'hex'));
}

/**
 * Core's uuid as readers accept it: version 4 stays as it is. Any other makes readers refuse the whole document, so its
 * version and variant are set and the other 122 bits kept; a person still recognises it.
 */
export function version4(uuid: string): string {
  return uuid[14] === '4' && '89ab'.includes(uuid[19] ?? '') ? uuid : uuidOf(uuid.replaceAll('-', '').toLowerCase());
}

/** The first 32 hex digits in version 4's shape. */
function uuidOf(hex: string): string {
  const variant = '89ab'[Number.parseInt(hex[16] ?? '0', 16) & 3];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

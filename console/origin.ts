export interface OriginCheck {
  /** The console's own origin, as seen by browsers; if unset, the request's host is used. */
  readonly publicOrigin: string | undefined;
  /** A request without information about its origin is treated as foreign, too. */
  readonly mustProve: boolean;
}

/**
 * Whether a browser sends a request for another site's page. Programs send neither header, and no cookies either;
 * browsers do not let pages change them (https://fetch.spec.whatwg.org/#forbidden-request-header).
 */
export function isForeign(headers: Headers, { publicOrigin, mustProve }: OriginCheck): boolean {
  const site = headers.get('sec-fetch-site');
  if (site !== null && site !== 'same-origin' && site !== 'none') return true;
  const origin = headers.get('origin');
  if (origin !== null) return !isOwn(origin, headers.get('host'), publicOrigin);
  // Typed into the address bar (`none`): not sent by a page, and not able to change anything.
  return mustProve && site !== 'same-origin';
}

function isOwn(origin: string, host: string | null, publicOrigin: string | undefined): boolean {
  if (publicOrigin !== undefined) return origin === publicOrigin;
  return host !== null && (origin === `https://${host}` || origin === `http://${host}`);
}

export interface OriginCheck {
  /** The console's own, as browsers have it; where unset, the host that the request is for counts. */
  readonly publicOrigin: string | undefined;
  /** A request that says nothing of where it comes from is foreign too. */
  readonly mustProve: boolean;
}

/**
 * Whether a browser sends a request for another site's page. Programs send neither header, and no cookies either; browsers
 * let no page change them (https://fetch.spec.whatwg.org/#forbidden-request-header).
 */
export function isForeign(headers: Headers, { publicOrigin, mustProve }: OriginCheck): boolean {
  const site = headers.get('sec-fetch-site');
  if (site !== null && site !== 'same-origin' && site !== 'none') return true;
  const origin = headers.get('origin');
  if (origin !== null) return !isOwn(origin, headers.get('host'), publicOrigin);
  // Typed into the address bar (`none`): no page has sent it, and none can change anything so.
  return mustProve && site !== 'same-origin';
}

function isOwn(origin: string, host: string | null, publicOrigin: string | undefined): boolean {
  if (publicOrigin !== undefined) return origin === publicOrigin;
  return host !== null && (origin === `https://${host}` || origin === `http://${host}`);
}

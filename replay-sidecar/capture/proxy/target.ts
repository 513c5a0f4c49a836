import { isIPv6 } from 'node:net';

/** `http://host:port` in front of a path, a query, a fragment or nothing; no user, no escapes, no empty host. */
const ABSOLUTE = /^https?:\/\/(?:[\w.~-]+|\[(?<ipv6>[0-9a-f:.]+)\])(?::[0-9]*)?(?:[/?#]|$)/i;

/**
 * Whether there is only one reading of a request target: a path, an absolute form of HTTP, or the asterisk of
 * `OPTIONS`. All releases of gunicorn, and of Python's URL parser beneath it, find the same path in these. Anything
 * else (`x:/path`, `javascript:/path`, `http:/path`, `host:80`) is a path to some of them and an error to others.
 */
export function hasOneReading(method: string, target: string): boolean {
  return target.startsWith('/') || isAbsolute(target) || (target === '*' && method === 'OPTIONS');
}

/** Later releases of Python refuse brackets around anything but an IPv6 address. */
function isAbsolute(target: string): boolean {
  const found = ABSOLUTE.exec(target);
  const ipv6 = found?.groups?.['ipv6'];
  return found !== null && (ipv6 === undefined || isIPv6(ipv6));
}

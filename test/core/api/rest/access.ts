import { type Environment, findByKey } from '../store/environments.ts';
import type { Call } from './call.ts';
import { detail, HttpError } from './errors.ts';

/** How callers prove who they are. */
export interface Access {
  /** The environment of the key in `X-Environment-Key`. @throws HttpError 403 */
  environment(call: Call): Promise<Environment>;
  /** An admin for writes, an admin or a viewer for reads. @throws HttpError 401, 403 */
  requireUser(call: Call): Promise<void>;
}

export interface AccessOptions {
  /** How long a worker goes on with what it knows of an environment, as `ENVIRONMENT_CACHE_SECONDS` does. */
  readonly environmentCacheSeconds: number;
  readonly adminToken: string;
  /** May only read. */
  readonly viewerToken: string;
  readonly now: () => number;
}

export function createAccess({ environmentCacheSeconds, adminToken, viewerToken, now }: AccessOptions): Access {
  const cache = new Map<string, { environment: Environment; until: number }>();

  async function find(call: Call, key: string): Promise<Environment | undefined> {
    const cached = cache.get(key);
    if (cached !== undefined && cached.until > now()) return cached.environment;
    const environment = await findByKey(call.session.read, key);
    if (environment === undefined) cache.delete(key);
    else cache.set(key, { environment, until: now() + environmentCacheSeconds * 1000 });
    return environment;
  }

  return {
    async environment(call) {
      const key = call.header('x-environment-key');
      if (!key) throw new HttpError(403, detail('Invalid or missing Environment key'));
      const environment = await find(call, key);
      if (environment === undefined) throw new HttpError(403, detail('Invalid or missing Environment Key'));
      if (environment.stopServingFlags) {
        throw new HttpError(403, detail('Organisation is disabled from serving flags.'));
      }
      return environment;
    },
    async requireUser(call) {
      const [, token] = /^(?:Token|Api-Key) (.+)$/.exec(call.header('authorization') ?? '') ?? [];
      if (token === undefined) throw new HttpError(401, detail('Authentication credentials were not provided.'));
      if (token === adminToken) return;
      if (token !== viewerToken) throw new HttpError(401, detail('Invalid token.'));
      if (!['GET', 'HEAD', 'OPTIONS'].includes(call.method)) {
        throw new HttpError(403, detail('You do not have permission to perform this action.'));
      }
    },
  };
}

/** "Server" is whoever presents a key that looks like one. */
export function mayWriteTraits(call: Call, environment: Environment): boolean {
  return environment.allowClientTraits || (call.header('x-environment-key') ?? '').startsWith('ser.');
}

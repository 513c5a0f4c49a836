import { type Environment, findByKey } from '../store/environments.ts';
import type { Call } from './call.ts';
import { detail, HttpError } from './errors.ts';

/** A user with a token. */
export interface User {
  /** Organisations that the user is a member of; all by default. */
  readonly organisations?: readonly bigint[];
  /** The user's rights there: everything, reading, or nothing without a separate permission. */
  readonly role: 'admin' | 'viewer' | 'member';
  /** For the routes that require it. */
  readonly password?: string;
}

/** Authentication of callers. */
export interface Access {
  /** The environment of the key in `X-Environment-Key`. @throws HttpError 403 */
  environment(call: Call): Promise<Environment>;
  /** The user of the token in `Authorization`. @throws HttpError 401 */
  user(call: Call): User;
  /** How many users are members of the organisation. */
  memberCount(organisationId: bigint): number;
}

export interface AccessOptions {
  /** How long a worker uses its cached environment, like `ENVIRONMENT_CACHE_SECONDS`. */
  readonly environmentCacheSeconds: number;
  /** By token; accepted as `Authorization: Token …` and `Api-Key …`. */
  readonly users: ReadonlyMap<string, User>;
  readonly now: () => number;
}

export function createAccess({ environmentCacheSeconds, users, now }: AccessOptions): Access {
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
    user(call) {
      const [, scheme, token] = /^(Token|Api-Key) (.+)$/.exec(call.header('authorization') ?? '') ?? [];
      if (token === undefined) throw new HttpError(401, detail('Authentication credentials were not provided.'));
      const user = users.get(token);
      if (user !== undefined) return user;
      throw new HttpError(401, detail(scheme === 'Token' ? 'Invalid token.' : 'Valid Master API Key not found.'));
    },
    memberCount(organisationId) {
      return [...users.values()].filter(({ organisations }) => organisations?.includes(organisationId) ?? true).length;
    },
  };
}

/** "Server" is any caller that presents a key that looks like one. */
export function mayWriteTraits(call: Call, environment: Environment): boolean {
  return environment.allowClientTraits || (call.header('x-environment-key') ?? '').startsWith('ser.');
}

/** @throws HttpError 403 unless the user may do this kind of thing in the organisation */
export function requirePermission({ user, method }: Call, organisationId: bigint): void {
  const isRead = ['GET', 'HEAD', 'OPTIONS'].includes(method);
  if (!maySee(user, organisationId) || (user?.role !== 'admin' && !isRead)) throw forbidden();
}

/** Whether the user can see the organisation's contents. */
export function maySee(user: User | undefined, organisationId: bigint): boolean {
  return user !== undefined && user.role !== 'member' && (user.organisations?.includes(organisationId) ?? true);
}

export const forbidden = () => new HttpError(403, detail('You do not have permission to perform this action.'));

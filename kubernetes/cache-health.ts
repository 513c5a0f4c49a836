import type { HealthCheck } from '@edge-migration/runtime/http/metrics-server.ts';
import type { Reflector } from './reflector.ts';

type Cache = Pick<Reflector<unknown>, 'resource' | 'listedAge' | 'confirmedAge'>;

/** Fails until the caches have been listed completely; for `ready`. */
export function synced(caches: readonly Cache[]): HealthCheck {
  return () => refuse('not listed yet', (cache) => cache.listedAge() < Number.POSITIVE_INFINITY, caches);
}

/** Fails while the API server has been silent for longer than this; for `alive`, since a restart may help. */
export function confirmedWithin(milliseconds: number, caches: readonly Cache[]): HealthCheck {
  const problem = `not heard of for ${milliseconds / 1000} s`;
  return () => refuse(problem, (cache) => cache.confirmedAge() <= milliseconds, caches);
}

function refuse(problem: string, isGood: (cache: Cache) => boolean, caches: readonly Cache[]) {
  const bad = caches.filter((cache) => !isGood(cache)).map(({ resource }) => resource.plural);
  if (bad.length > 0) throw new Error(`${bad.join(', ')} ${problem}`);
}

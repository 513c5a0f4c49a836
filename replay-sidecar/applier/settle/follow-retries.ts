import { isDropToken } from '@edge-migration/contract/edge-migration/retry-token.ts';
import type { MigrationView } from '../admit/migrations.ts';

/** Calls back when the `spec.retry` of an EdgeMigration changes to another value that asks for a try. */
export function followRetries(
  migrations: Pick<MigrationView, 'all' | 'find' | 'subscribe'>,
  onChange: () => void,
): Disposable & { readonly size: number } {
  const known = new Map(migrations.all().map(({ spec }) => [spec?.projectId ?? 0, spec?.retry]));
  const stop = migrations.subscribe((projectId) => {
    const migration = migrations.find(projectId);
    const retry = migration?.spec?.retry;
    const isNew = known.has(projectId) && known.get(projectId) !== retry;
    if (isNew && retry !== undefined && !isDropToken(retry)) onChange();
    if (migration === undefined) known.delete(projectId);
    else known.set(projectId, retry);
  });
  return {
    get size() {
      return known.size;
    },
    [Symbol.dispose]: stop,
  };
}

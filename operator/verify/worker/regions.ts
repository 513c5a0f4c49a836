import { createWriteBudget } from '@edge-migration/identity/edge/rate.ts';
import { type EdgeSettings, type EdgeStore, inRegion, openEdge } from '@edge-migration/identity/edge/table/table.ts';
import type { RetryContext } from '../../job/failure.ts';
import type { RegionTables } from './region-comparer.ts';

export interface OpenRegions extends Disposable {
  readonly tables: readonly RegionTables[];
  /** Read units per second, in each region. */
  setMaximum(readUnitsPerSecond: number): void;
}

/**
 * Opens the tables of other regions for reading, and checks that they exist.
 *
 * @param home the tables of the home region, which is excluded
 * @throws errors of the tables, which name the endpoint or the region
 */
export async function openRegions(
  home: EdgeStore,
  settings: EdgeSettings & { readonly maxReadUnitsPerSecond: number },
  names: readonly string[],
  { clock, signal, retryBudgetMs }: RetryContext,
): Promise<OpenRegions> {
  const homeRegion = await home.region();
  const tables = [...new Set(names)]
    .filter((region) => region !== homeRegion)
    .map((region) => {
      const readBudget = createWriteBudget({ clock, maximum: settings.maxReadUnitsPerSecond });
      const options = { clock, readBudget, retryBudgetMs };
      return { region, edge: openEdge(inRegion(settings, region), options) };
    });
  const close = () => {
    for (const { edge } of tables) edge.close();
  };
  try {
    await Promise.all(tables.map(({ edge }) => edge.describe({ signal })));
  } catch (error) {
    close();
    throw error;
  }
  return {
    tables,
    setMaximum(maximum) {
      for (const { edge } of tables) edge.readBudget?.setMaximum(maximum);
    },
    [Symbol.dispose]: close,
  };
}

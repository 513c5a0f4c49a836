import type { TestProject } from 'vitest/node';
import { startGlobalTable } from './global-table/global-table.ts';
import { setUp } from './shared-setup.ts';

/** Like shared-setup.ts, with Edge's tables as global tables with strong consistency. */
export default function setup(project: TestProject): Promise<() => Promise<void>> {
  return setUp(project, { startEdge });
}

async function startEdge() {
  const regions = ['eu-west-2', 'us-east-2'];
  const global = await startGlobalTable({ regions, consistency: 'STRONG', witness: 'us-west-2', heapMb: 256 });
  const { endpoint, region, credentials } = global.region('eu-west-2');
  return { endpoint, region, credentials, stop: () => global.stop() };
}

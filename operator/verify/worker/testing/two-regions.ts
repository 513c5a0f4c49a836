import { type EdgeStore, openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { type GlobalTable, startGlobalTable } from '@edge-migration/test/cluster/global-table/global-table.ts';
import { regionalDynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createTestProject, type TestProject } from '../../../copy/worker/testing/project.ts';

export const [HOME, OTHER] = ['eu-west-2', 'us-east-2'];

/** A project that was copied into eventually consistent tables of two regions. */
export interface TwoRegions extends AsyncDisposable {
  readonly global: GlobalTable;
  readonly project: TestProject;
  /** Edge's clients in the other region. */
  readonly there: EdgeStore;
}

export async function copyIntoTwoRegions(identities: number): Promise<TwoRegions> {
  await using starting = new AsyncDisposableStack();
  const global = starting.adopt(
    await startGlobalTable({ regions: [HOME, OTHER], server: await regionalDynamodb() }),
    (table) => table.stop(),
  );
  const project = starting.use(await createTestProject({ dynamodb: global.region(HOME), identities }));
  const { endpoint: dynamodbEndpoint } = global.region(OTHER);
  const there = openEdge({ ...project.tables.settings, dynamodbEndpoint, dynamodbRegion: OTHER });
  starting.defer(() => there.close());
  await project.copy();
  await global.settle();
  const resources = starting.move();
  return { global, project, there, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

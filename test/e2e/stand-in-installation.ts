import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PODS } from '@edge-migration/kubernetes/resources.ts';
import { parseAllDocuments } from 'yaml';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import { waitFor } from '../cluster/wait.ts';
import { createServingTestTables } from '../edge/serving-tables.ts';
import { FLAGSMITH, providePath, readState, stateOf, writeState } from '../handover/stand-in.ts';
import { installEmbedded } from './embedded.ts';
import type { Installation } from './installation.ts';
import { CORE_API } from './replay-parts.ts';
import { describeStandIn, nameServingTables } from './stand-in-api.ts';
import type { HandoverMode, HandoverTarget } from './target.ts';

const IMAGE = 'flagsmith-stand-in:2.265.0';
/** Enough for a pod on a busy machine; one test waits for it to pass. */
const TIMEOUT_SECONDS = 40;

/** The product on an embedded cluster, with the stand-in as a process of this machine's Python and its state in a file. */
export async function installWithStandIn(mode: HandoverMode): Promise<HandoverTarget> {
  await using started = new AsyncDisposableStack();
  const folder = createFolder('handover');
  started.defer(() => removeFolder(folder));
  const stateFile = join(folder, 'state.json');
  await writeState(stateFile, stateOf(1));
  const PATH = providePath(folder) ?? '';
  const python = { entrypoint: ['python'], cwd: FLAGSMITH, env: { PATH, PYTHONDONTWRITEBYTECODE: '1' } };
  const names = nameServingTables();
  const installation = started.use(
    await installEmbedded({
      pageMaxAgeSeconds: 1,
      images: { [IMAGE]: python },
      optionalTables: true,
      operatorEnvironment: {
        EDGE_MIGRATION_ENVIRONMENTS_TABLE: names.environmentsTable,
        EDGE_MIGRATION_ENVIRONMENTS_API_KEY_TABLE: names.environmentsApiKeyTable,
        EDGE_MIGRATION_EDGE_READY_SECONDS: '1',
        EDGE_MIGRATION_HANDOVER_MODE: mode,
        EDGE_MIGRATION_HANDOVER_TIMEOUT_SECONDS: String(TIMEOUT_SECONDS),
        EDGE_MIGRATION_CORE_API_NAMESPACE: CORE_API.namespace,
        EDGE_MIGRATION_CORE_API_SELECTOR: CORE_API.selector,
      },
    }),
  );
  const { dynamodb } = installation.cluster;
  const serving = started.use(await createServingTestTables(dynamodb, names));
  const rights = await readFile(new URL('../../operator/deploy/rbac-handover.yaml', import.meta.url), 'utf8');
  const tables = { ...names, environmentsV2Table: installation.tables.settings.environmentsV2Table };
  const env = { STATE_FILE: stateFile, DYNAMODB_ENDPOINT: dynamodb.endpoint };
  const api = describeStandIn({ image: IMAGE, args: ['manage.py', 'serve'], env, tables });
  await apply(installation, [...parseAllDocuments(rights).map((document) => document.toJS()), ...api]);
  await waitFor(() => isRunning(installation), { for: "the Core API's pod" });
  const stack = started.move();
  const stop = () => stack.disposeAsync();
  return {
    ...installation,
    image: IMAGE,
    timeoutSeconds: TIMEOUT_SECONDS,
    serving,
    readState: () => readState(stateFile),
    writeState: (state) => writeState(stateFile, state),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const apply = ({ kubectl }: Installation, items: readonly object[]) =>
  kubectl(['apply', '--server-side', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });

async function isRunning({ client }: Installation): Promise<boolean> {
  const { items } = await client.list(PODS, { namespace: CORE_API.namespace });
  return items.some((pod) => (pod['status'] as { phase?: string }).phase === 'Running');
}

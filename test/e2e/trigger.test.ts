/** Flagsmith's button, from its boto3 call to the documents on Edge. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { waitFor } from '../cluster/wait.ts';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { type Call, callFlagsmith, canRunBoto3, pressButton, provideBoto3 } from '../integration/trigger/flagsmith.ts';
import { compareStores } from './comparison.ts';
import { installEmbedded } from './embedded.ts';
import type { Installation } from './installation.ts';

const MINUTES = 60_000;
const MANIFEST = new URL('../../operator/deploy/trigger.yaml', import.meta.url);
/** As in the manifest. */
const EVENT_BUS = 'flagsmith-identity-migration';
/** Flagsmith has one key pair for DynamoDB and events. */
const KEY = { accessKeyId: 'local', secretAccessKey: 'local' };

let installation: Installation;
let seeded: SeededProject;
let python: string;
let url: string;

async function findTrigger(): Promise<string | undefined> {
  const selector = ['-l', 'app.kubernetes.io/component=trigger', '-o', 'json'];
  const { items } = JSON.parse(await installation.kubectl(['get', 'pods', '-n', installation.namespace, ...selector]));
  const ready = items.find(({ status }: { status: { conditions?: { type: string; status: string }[] } }) =>
    status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
  );
  return ready && `http://${ready.status.podIP}:8081`;
}

function press(call: Partial<Call> = {}) {
  const { dynamodbEndpoint, dynamodbRegion } = installation.tables.settings;
  const environment = {
    AWS_ENDPOINT_URL_EVENTBRIDGE: url,
    AWS_ENDPOINT_URL_DYNAMODB: dynamodbEndpoint,
    AWS_DEFAULT_REGION: dynamodbRegion,
    AWS_ACCESS_KEY_ID: KEY.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
  };
  return callFlagsmith(python, environment, { entries: [pressButton(seeded.projectId, EVENT_BUS)], ...call });
}

const readMetadata = async () =>
  (await installation.tables.scan(installation.tables.settings.projectMetadataTable)).find(
    (item) => item['id']?.N === String(seeded.projectId),
  );

describe.runIf(canRunBoto3)("Flagsmith's button", () => {
  beforeAll(async () => {
    python = await provideBoto3();
    installation = await installEmbedded({ pageMaxAgeSeconds: 8, optionalTables: true });
    seeded = await seedProject(installation.databaseUrl, { identities: 300, neighbours: 20 });
    const metadata = { name: 'edge-migration-trigger', namespace: installation.namespace };
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      stringData: { [KEY.accessKeyId]: KEY.secretAccessKey },
    };
    const objects = parseAllDocuments(await readFile(MANIFEST, 'utf8')).map((document) => document.toJS() as object);
    const list = { apiVersion: 'v1', kind: 'List', items: [secret, ...objects] };
    await installation.kubectl(['apply', '--server-side', '-f', '-'], { input: JSON.stringify(list) });
    url = await waitFor(findTrigger, { for: 'the trigger to be ready', timeoutMs: 4 * MINUTES, intervalMs: 200 });
  });

  afterAll(() => installation?.stop());

  test('migrates the project on the first press, and the dashboard shows it', { timeout: 10 * MINUTES }, async () => {
    const { projectId } = seeded;
    const mark = { table_name: installation.tables.settings.projectMetadataTable, project_id: projectId };
    expect((await press({ mark })).answer).toMatchObject({ FailedEntryCount: 0 });
    const triggered = (await readMetadata())?.['triggered_at']?.S;
    expect(triggered).toMatch(/^\d{4}-\d\d-\d\dT/);
    await installation.condition(projectId, 'Succeeded', 'True', { timeoutMs: 8 * MINUTES });
    const { missing, different } = await compareStores(installation.databaseUrl, projectId, installation.tables);
    expect({ missing, different }).toEqual({ missing: [], different: [] });
    expect(await readMetadata()).toEqual({
      id: { N: String(projectId) },
      triggered_at: { S: triggered },
      migration_start_time: { S: expect.stringMatching(/^\d{4}-/) },
      migration_end_time: { S: expect.stringMatching(/^\d{4}-/) },
    });
  });

  test('changes nothing of a successful migration on another press', async () => {
    const before = await installation.migration(seeded.projectId);
    expect((await press()).answer).toMatchObject({ FailedEntryCount: 0 });
    const after = await installation.migration(seeded.projectId);
    expect(after).toMatchObject({ uid: before?.uid, generation: before?.generation, spec: before?.spec });
  });
});

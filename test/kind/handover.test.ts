import { execute, insertRows, ONE_PROJECT } from '@edge-migration/identity/fixtures/core-rows.ts';
import { PODS } from '@edge-migration/kubernetes/resources.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHandoverSteps } from '../e2e/handover-steps.ts';
import { installWithStandIn } from '../e2e/install.ts';
import { CORE_API } from '../e2e/replay-parts.ts';
import type { HandoverTarget } from '../e2e/target.ts';

const MINUTE = 60_000;

let installation: HandoverTarget;
let steps: ReturnType<typeof createHandoverSteps>;

beforeAll(async () => {
  installation = await installWithStandIn('Verify');
  steps = createHandoverSteps(installation);
  await insertRows(installation.databaseUrl, ONE_PROJECT);
});

afterAll(() => installation?.stop());

/** The known state of a container that ended. */
interface HandoverPod {
  spec: { securityContext: object; containers: { securityContext: object }[] };
  status: { phase: string; containerStatuses: { imageID: string; state: { terminated?: { exitCode: number } } }[] };
}

describe('a hand-over in verify-only mode', { timeout: 6 * MINUTE }, () => {
  test('changes nothing, and EdgeReady=False names what is missing and what this release can write', async () => {
    const { serving, tables } = installation;
    const projectId = await steps.addProject(2001);
    await installation.apply(projectId);
    const { status, reason, message } = await steps.edgeReady(projectId, /can hand over/);
    expect({ status, reason }).toEqual({ status: 'False', reason: 'DynamoDBNotEnabled' });
    const production = 'environment Production (id 2001)';
    for (const words of [
      'enable_dynamo_db of project 2001 is not set in Core',
      `table ${serving.settings.environmentsTable} has no document of ${production}`,
      `table ${serving.settings.environmentsApiKeyTable} lacks 1 server keys of ${production}`,
      `table ${tables.settings.environmentsV2Table} has no _META row of ${production}`,
      'this release of Flagsmith can hand over 1 environments with their _META rows and 1 server keys',
    ]) {
      expect(message).toContain(words);
    }
    await installation.condition(projectId, 'Copied', 'True', { timeoutMs: 3 * MINUTE });
    expect((await installation.readState()).calls ?? []).toEqual([]);
    expect(await steps.findMark(projectId)).toBeUndefined();
  });

  test('waits for what is still missing, and marks the project once that exists', async () => {
    const environment = { id: 2001, apiKey: 'key-2001', projectId: 2001 };
    await installation.serving.putDocument(environment);
    await installation.serving.putMeta(installation.tables.settings.environmentsV2Table, environment);
    await execute(
      installation.databaseUrl,
      `UPDATE projects_project SET enable_dynamo_db = true, identity_overrides_v2_migration_status = 'COMPLETE'
        WHERE id = 2001`,
    );
    const { reason } = await steps.edgeReady(2001, /^Edge cannot serve the project yet: table \S+ lacks 1 server keys/);
    expect(reason).toBe('ServerKeysMissing');
    expect(await steps.findMark(2001)).toBeUndefined();
    await installation.serving.putServerKey('ser.2001', 'key-2001');
    await installation.condition(2001, 'EdgeReady', 'True', { timeoutMs: MINUTE });
    expect((await steps.findMark(2001))?.['migration_end_time']?.S).toBeDefined();
  });

  test('ran in a pod with the image and the user of the API, in a namespace that enforces the restricted standard', async () => {
    const { namespace } = CORE_API;
    const label = 'jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}';
    expect(await installation.kubectl(['get', 'namespace', namespace, '-o', label])).toBe('restricted');
    const list = async (labelSelector: string) => {
      const { items } = await installation.client.list(PODS, { namespace, labelSelector });
      return items[0] as unknown as HandoverPod;
    };
    const [api, pod] = [await list(CORE_API.selector), await list('edge.flagsmith.com/component=handover')];
    expect(pod.status.phase).toBe('Succeeded');
    expect(pod.status.containerStatuses[0]?.imageID).toBe(api.status.containerStatuses[0]?.imageID);
    expect(pod.spec.securityContext).toEqual(api.spec.securityContext);
    expect(pod.spec.containers[0]?.securityContext).toMatchObject(api.spec.containers[0]?.securityContext ?? {});
  });
});

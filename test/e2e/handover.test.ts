import { insertRows, ONE_PROJECT } from '@edge-migration/identity/fixtures/core-rows.ts';
import { JOBS } from '@edge-migration/kubernetes/resources.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { stateOf } from '../handover/stand-in.ts';
import { createHandoverSteps } from './handover-steps.ts';
import { hasStandIn, installWithStandIn } from './install.ts';
import { CORE_API } from './replay-parts.ts';
import type { HandoverTarget } from './target.ts';

const MINUTE = 60_000;

let installation: HandoverTarget;
let steps: ReturnType<typeof createHandoverSteps>;

describe.skipIf(!hasStandIn())('a hand-over with the image of the Core API', { timeout: 18 * MINUTE }, () => {
  beforeAll(async () => {
    installation = await installWithStandIn('Run');
    steps = createHandoverSteps(installation);
    await insertRows(installation.databaseUrl, ONE_PROJECT);
  }, 10 * MINUTE);

  afterAll(() => installation?.stop());

  test('lets Flagsmith write before the copy begins, counts the overrides after it, and marks the project last', async () => {
    const projectId = await steps.addProject(1001);
    await installation.apply(projectId);
    await waitFor(isSwitched, { for: 'the switch', timeoutMs: 3 * MINUTE });
    const { reason } = await steps.edgeReady(
      projectId,
      /1 server keys were written, and edge_v2_migration_status, enable_dynamo_db set/,
    );
    expect(reason).toBe('DynamoDBNotEnabled');
    await installation.condition(projectId, 'Copied', 'True', { timeoutMs: 4 * MINUTE });
    const [handedOver, copied] = await Promise.all([
      steps.findJob(projectId, 'before'),
      steps.findJob(projectId, 'copy-1'),
    ]);
    expect(copied.metadata.creationTimestamp! >= handedOver.status.completionTime).toBe(true);
    const isCounted = async () => (await installation.readState()).project.edge_v2_migration_status === 'COMPLETE';
    await waitFor(isCounted, { for: 'the second hand-over', timeoutMs: 3 * MINUTE });
    expect(await steps.findMark(projectId)).toBeUndefined();
    await steps.mirror(projectId);
    await installation.condition(projectId, 'EdgeReady', 'True', { timeoutMs: 3 * MINUTE });
    const { calls = [] } = await installation.readState();
    expect(calls.filter((call) => call.startsWith('update'))).toEqual([
      'update edge_v2_migration_status,enable_dynamo_db',
      'update edge_v2_migration_status',
    ]);
    expect((await steps.findMark(projectId))?.['migration_end_time']?.S).toBeDefined();
  });

  test('that fails sets EdgeReady=False with the last words of its pod, and the copy is made all the same', async () => {
    const projectId = await steps.addProject(1002, { mood: 'fail' });
    await installation.apply(projectId);
    await installation.condition(projectId, 'Copied', 'True', { timeoutMs: 4 * MINUTE });
    const { reason, message } = await steps.edgeReady(projectId, /AccessDenied/);
    expect(reason).toBe('HandoverFailed');
    expect(message).toContain('the hand-over failed: RuntimeError: AccessDeniedException');
    expect(await isSwitched()).toBe(false);
    await steps.setState({ mood: undefined });
    await installation.apply(projectId, { retry: 'again' });
    await waitFor(isSwitched, { for: 'the next try', timeoutMs: 3 * MINUTE });
  });

  test('that does not end in time is stopped', async () => {
    const projectId = await steps.addProject(1003, { mood: 'hang' });
    await installation.apply(projectId);
    const words = new RegExp(`not done within ${installation.timeoutSeconds} s`);
    const { message } = await steps.edgeReady(projectId, words);
    expect(message).toContain('the hand-over failed');
  });

  test('does nothing in an unknown release of Flagsmith, and says so', async () => {
    const projectId = await steps.addProject(1004, { release: 'unknown' });
    await installation.apply(projectId);
    const { message } = await steps.edgeReady(projectId, /is not known for this release/);
    expect(message).toContain('Environment.objects.filter_for_document_builder');
    expect((await installation.readState()).calls ?? []).toEqual([]);
  });

  test('is refused for a project that the Core API does not have', async () => {
    const projectId = await steps.addProject(1005);
    await steps.setState({ project: { ...stateOf(9).project } });
    await installation.apply(projectId);
    const { message } = await steps.edgeReady(projectId, /was refused/);
    expect(message).toContain(`database has no project ${projectId}`);
  });

  test('is only checked, not made, by a plan', async () => {
    const projectId = await steps.addProject(1006);
    await installation.apply(projectId, { mode: 'Plan' });
    const { message } = await steps.edgeReady(projectId, /can hand over/);
    expect(message).toContain('1 environments with their _META rows and 1 server keys');
    expect((await installation.readState()).calls ?? []).toEqual([]);
  });

  test('has the environment of the API, including references to Secrets, and fewer rights', async () => {
    const { items } = await installation.client.list(JOBS, { namespace: CORE_API.namespace });
    const job = items[0] ?? expect.fail('no Job');
    const { spec } = (job['spec'] as { template: { spec: Record<string, unknown> } }).template;
    const [container] = spec['containers'] as Record<string, unknown>[];
    expect(container?.['image']).toBe(installation.image);
    expect(container?.['env']).toContainEqual({
      name: 'DJANGO_SECRET_KEY',
      valueFrom: { secretKeyRef: { name: 'flagsmith', key: 'secret' } },
    });
    expect(container?.['securityContext']).toMatchObject({
      capabilities: { drop: ['ALL'] },
      allowPrivilegeEscalation: false,
    });
    expect(spec['automountServiceAccountToken']).toBe(false);
  });
});

const isSwitched = async () => (await installation.readState()).project.enable_dynamo_db;

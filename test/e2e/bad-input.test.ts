import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { seedProject } from '../core/seed.ts';
import { install } from './install.ts';
import type { Target } from './target.ts';

const MINUTES = 60_000;
let installation: Target;

beforeAll(async () => {
  installation = await install({ pageMaxAgeSeconds: 5 });
});

afterAll(() => installation?.stop());

async function execute(statement: string) {
  const client = new Client({ connectionString: installation.databaseUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Waits until the condition has this reason, and returns the status. */
async function reason(projectId: number, type: string, expected: string) {
  const check = async () => {
    const status = (await installation.migration(projectId))?.status;
    const condition = status?.conditions?.find((each) => each.type === type);
    return condition?.reason === expected && status;
  };
  return waitFor(check, { for: `${type} with reason ${expected}`, timeoutMs: 4 * MINUTES });
}

describe('the migration of a refused project resumes once the cause is corrected', {
  timeout: 10 * MINUTES,
}, () => {
  test('when Core does not have the project, until it does', async () => {
    await installation.apply(1);
    const status = await reason(1, 'Accepted', 'ProjectNotFound');
    expect(status.message).toContain('project 1 is not in Core');
    expect(status.phase).toBe('Rejected');
    const { projectId } = await seedProject(installation.databaseUrl, { identities: 50 });
    expect(projectId).toBe(1);
    await installation.condition(1, 'Succeeded', 'True', { timeoutMs: 4 * MINUTES });
  });

  test('when the project was deleted', async () => {
    const { projectId } = await seedProject(installation.databaseUrl, { identities: 50 });
    await execute(`UPDATE projects_project SET deleted_at = now() WHERE id = ${projectId}`);
    await installation.apply(projectId);
    const status = await reason(projectId, 'Succeeded', 'ProjectDeleted');
    expect(status.message).toContain('delete this EdgeMigration');
    expect(status.phase).toBe('Failed');
  });

  test('when a table does not exist, until its name is corrected', async () => {
    const { projectId } = await seedProject(installation.databaseUrl, { identities: 50 });
    await installation.reconfigure({ identitiesTable: 'no-such-table' });
    await installation.apply(projectId);
    const status = await reason(projectId, 'Accepted', 'TableMissing');
    expect(status.message).toContain('no-such-table');
    await installation.reconfigure({ identitiesTable: installation.tables.settings.environmentsV2Table });
    expect((await reason(projectId, 'Accepted', 'WrongTable')).message).toContain('composite_key');
    await installation.reconfigure({ identitiesTable: installation.tables.settings.identitiesTable });
    await installation.condition(projectId, 'Succeeded', 'True', { timeoutMs: 4 * MINUTES });
  });

  test('when Postgres is unreachable or refuses the login, until it accepts it', async () => {
    const { projectId } = await seedProject(installation.databaseUrl, { identities: 50 });
    const right = new URL(installation.readerUrl);
    const nowhere = new URL(right);
    nowhere.port = '1';
    await installation.reconfigure({ databaseUrl: nowhere.href });
    await installation.apply(projectId);
    expect((await reason(projectId, 'Accepted', 'CoreUnreachable')).message).toContain('check host, port');
    const wrong = new URL(right);
    wrong.password = 'guessed';
    await installation.reconfigure({ databaseUrl: wrong.href });
    const { message } = await reason(projectId, 'Accepted', 'CoreRefused');
    expect(message).toContain('check user, password');
    expect(message).not.toContain('guessed');
    await installation.reconfigure({ databaseUrl: right.href });
    await installation.condition(projectId, 'Succeeded', 'True', { timeoutMs: 4 * MINUTES });
  });

  test('when another namespace has an EdgeMigration of the project, until that is gone', async () => {
    const { projectId } = await seedProject(installation.databaseUrl, { identities: 50 });
    await installation.apply(projectId);
    await installation.condition(projectId, 'Succeeded', 'True', { timeoutMs: 4 * MINUTES });
    await installation.kubectl(['create', 'namespace', 'customers']);
    await installation.apply(projectId, {}, 'customers');
    const duplicate = async () => {
      const found = await installation.migration(projectId, 'customers');
      return found?.status.conditions?.find(({ type }) => type === 'Accepted')?.reason === 'Duplicate' && found;
    };
    const { status } = await waitFor(duplicate, { for: 'the younger one to be refused', timeoutMs: 4 * MINUTES });
    expect(status.message).toContain(`edge-migration/project-${projectId}`);
    await installation.delete(projectId);
    const taken = async () => (await installation.migration(projectId, 'customers'))?.status.phase === 'Succeeded';
    await waitFor(taken, { for: 'the younger one to take over', timeoutMs: 4 * MINUTES });
  });
});

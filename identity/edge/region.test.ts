import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findRegion } from './region.ts';
import { openEdge } from './table/table.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aws-'));
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
  vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'config'));
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'credentials'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

describe('the region', () => {
  it('the region is that of AWS_REGION', async () => {
    vi.stubEnv('AWS_REGION', 'us-east-1');
    vi.stubEnv('AWS_DEFAULT_REGION', 'us-east-2');
    expect(await findRegion()).toBe('us-east-1');
  });

  it('the region is that of AWS_DEFAULT_REGION', async () => {
    vi.stubEnv('AWS_DEFAULT_REGION', 'us-east-2');
    expect(await findRegion()).toBe('us-east-2');
  });

  it('the region is that of the profile', async () => {
    writeFileSync(join(folder, 'config'), '[default]\nregion = eu-north-1\n[profile staging]\nregion = ap-south-1\n');
    expect(await findRegion()).toBe('eu-north-1');
    vi.stubEnv('AWS_PROFILE', 'staging');
    expect(await findRegion()).toBe('ap-south-1');
  });

  it("the region is Flagsmith's if none is configured", async () => {
    expect(await findRegion()).toBe('eu-west-2');
  });
});

it('the region is named in messages about tables that cannot be reached', async () => {
  vi.stubEnv('AWS_REGION', 'us-east-1');
  vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', 'http://127.0.0.1:1');
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const edge = openEdge({ identitiesTable: 'identities' }, { credentials, retryBudgetMs: 0 });
  await expect(edge.describe()).rejects.toThrow(/DynamoDB at us-east-1 did not answer/);
  edge.close();
});

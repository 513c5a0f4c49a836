import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ConfigurationError, parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { describe, expect, it } from 'vitest';

import { captureConfiguration } from './config.ts';

const REQUIRED = {
  EDGE_MIGRATION_NATS_SERVERS: 'nats://one:4222, nats://two:4222',
  EDGE_MIGRATION_POD_NAME: 'api-1',
  EDGE_MIGRATION_POD_UID: '0b9e7a52-3f0c-4c39-8a44-7f1d3a3f1a55',
};
const parse = (more: Record<string, string> = {}) => parseEnvironment(captureConfiguration, { ...REQUIRED, ...more });

describe('the configuration', () => {
  it('needs little more than the servers of NATS and the name of the pod', () => {
    expect(parse()).toMatchObject({
      natsServers: ['nats://one:4222', 'nats://two:4222'],
      listenAddress: { host: '0.0.0.0', port: 8000 },
      upstreamAddress: { host: '127.0.0.1', port: 8001 },
      spoolSync: 'interval',
    });
  });

  it('accepts IPv6 addresses in brackets', () => {
    expect(parse({ EDGE_MIGRATION_LISTEN_ADDRESS: '[::]:80' }).listenAddress).toEqual({ host: '::', port: 80 });
  });

  const wrong: Record<string, string> = {
    LISTEN_ADDRESS: '8000',
    UPSTREAM_ADDRESS: '127.0.0.1:70000',
    FORWARDED_HEADERS: 'maybe',
    POD_UID: 'a.b',
    SPOOL_MAX_BYTES: '-1',
    SPOOL_DIR: '/spool',
  };
  it.each(Object.entries(wrong))('refuses %s=%s and names the variable', (name, value) => {
    const variable = `EDGE_MIGRATION_${name}`;
    expect(() => parse({ [variable]: value })).toThrow(ConfigurationError);
    expect(() => parse({ [variable]: value })).toThrow(variable);
  });

  it('is reported in one line when it is wrong, by the exit code as well', () => {
    const main = fileURLToPath(new URL('../../bin/sidecar.ts', import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, [main], { env: {}, encoding: 'utf8' });
    expect(status).toBe(64);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      level: 'fatal',
      error: expect.stringContaining('NATS_SERVERS must be'),
    });
  });

  it('keeps events for longer than NATS takes to force them to its disk', () => {
    expect(parse().safetySeconds).toBeGreaterThan(120);
  });
});

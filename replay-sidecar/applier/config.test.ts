import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { expect, test } from 'vitest';
import { applierConfiguration } from './config.ts';

const parse = (settings: Readonly<Record<string, string>>) => {
  const required = {
    EDGE_MIGRATION_DATABASE_URL: 'postgres://core',
    EDGE_MIGRATION_NATS_SERVERS: 'nats://nats:4222',
    EDGE_MIGRATION_INSTANCE: 'applier-0',
  };
  return parseEnvironment(applierConfiguration, { ...required, ...settings });
};

test.each([
  [{}, 'EDGE_MIGRATION_DYNAMODB_OTHER_REGIONS must be set'],
  [
    { EDGE_MIGRATION_DYNAMODB_REGION: 'eu-west-2', EDGE_MIGRATION_DYNAMODB_OTHER_REGIONS: 'eu-west-2' },
    'EDGE_MIGRATION_DYNAMODB_OTHER_REGIONS is invalid: must name another region',
  ],
])('the configuration refuses failover without another region to go to: %j', (settings, message) => {
  expect(() => parse({ EDGE_MIGRATION_FAILOVER_AFTER_SECONDS: '300', ...settings })).toThrow(message);
  expect(parse(settings).failoverAfterSeconds).toBe(0);
});

test('the configuration accepts failover to another region', () => {
  const regions = { EDGE_MIGRATION_DYNAMODB_REGION: 'eu-west-2', EDGE_MIGRATION_DYNAMODB_OTHER_REGIONS: 'us-east-2' };
  expect(parse({ EDGE_MIGRATION_FAILOVER_AFTER_SECONDS: '300', ...regions })).toMatchObject({
    failoverAfterSeconds: 300,
    dynamodbOtherRegions: ['us-east-2'],
  });
});

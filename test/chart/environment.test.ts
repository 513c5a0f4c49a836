/** How the processes parse the environment that the chart gives them. */
import { consoleConfiguration } from '@edge-migration/console/config.ts';
import { checkConfiguration } from '@edge-migration/operator/check/config.ts';
import { operatorConfiguration } from '@edge-migration/operator/config.ts';
import { triggerConfiguration } from '@edge-migration/operator/trigger/config.ts';
import { applierConfiguration } from '@edge-migration/replay-sidecar/applier/config.ts';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { describe, expect, it } from 'vitest';
import { find, type Manifest, render, VARIANTS } from './helm.ts';

interface Container {
  env: { name: string; value?: string }[];
}

/** The variables of the first container; those from other sources have placeholder values. */
function environmentOf(object: Manifest): Record<string, string> {
  const spec = object['spec'] as { containers?: [Container]; template?: { spec: { containers: [Container] } } };
  const [container] = spec.template?.spec.containers ?? spec.containers!;
  return Object.fromEntries(container.env.map(({ name, value }) => [name, value ?? 'from-elsewhere']));
}

const nameOf = (variant: string) => (variant === 'everything' ? 'flagsmith-edge' : 'edge-migration');

describe.each(VARIANTS)("the environment of the chart's processes with values for %s", (variant, file) => {
  it('sets every variable that each process requires', async () => {
    const objects = await render('ours', ['--values', file]);
    const of = (kind: string, component: string) =>
      environmentOf(find(objects, kind, `${nameOf(variant)}-${component}`));
    parseEnvironment(operatorConfiguration, of('Deployment', 'operator'));
    parseEnvironment(checkConfiguration, of('Pod', 'check'));
    if (variant === 'everything') parseEnvironment(triggerConfiguration, of('Deployment', 'trigger'));
    if (variant === 'everything') parseEnvironment(consoleConfiguration, of('Deployment', 'console'));
    if (variant !== 'copy-only') parseEnvironment(applierConfiguration, of('Deployment', 'applier'));
  });
});

it('accepts values from a release that predates failover', async () => {
  const objects = await render('ours', ['--set', 'nats.servers={nats://nats:4222},dynamodb.failover=null']);
  const applier = environmentOf(find(objects, 'Deployment', 'edge-migration-applier'));
  expect(parseEnvironment(applierConfiguration, applier)).toMatchObject({ failoverAfterSeconds: 0 });
});

it('tells appliers which regions they may continue in, and when', async () => {
  const regions = 'dynamodb.otherRegions={us-east-2,us-west-2},dynamodb.regionEndpoints.us-east-2=https://vpce.example';
  const failover = 'dynamodb.failover.afterSeconds=300,dynamodb.failover.returnSeconds=900';
  const objects = await render('ours', ['--set', `nats.servers={nats://nats:4222},${regions},${failover}`]);
  const applier = environmentOf(find(objects, 'Deployment', 'edge-migration-applier'));
  expect(parseEnvironment(applierConfiguration, applier)).toMatchObject({
    dynamodbOtherRegions: ['us-east-2', 'us-west-2'],
    dynamodbRegionEndpoints: { 'us-east-2': 'https://vpce.example' },
    failoverAfterSeconds: 300,
    failoverReturnSeconds: 900,
  });
});

it('has the same defaults in the chart as in the processes', async () => {
  const trigger = 'trigger.enabled=true,trigger.signingKeys.existingSecret=keys';
  const objects = await render('ours', ['--set', `nats.servers={nats://nats:4222},${trigger},console.enabled=true`]);
  const operator = environmentOf(find(objects, 'Deployment', 'edge-migration-operator'));
  const applier = environmentOf(find(objects, 'Deployment', 'edge-migration-applier'));
  const required = (environment: Record<string, string>, ...names: string[]) =>
    Object.fromEntries(names.map((name) => [`EDGE_MIGRATION_${name}`, environment[`EDGE_MIGRATION_${name}`]]));
  const installation = ['DATABASE_URL', 'INSTANCE', 'METRICS_HOST', 'NATS_SERVERS'];
  const capture = ['NAMESPACE', 'WORKER_TEMPLATE_FILE', 'CAPTURE', 'CORE_API_NAMESPACE', 'CORE_API_SELECTOR'];
  expect(parseEnvironment(operatorConfiguration, operator)).toEqual(
    parseEnvironment(operatorConfiguration, required(operator, ...installation, ...capture)),
  );
  const events = environmentOf(find(objects, 'Deployment', 'edge-migration-trigger'));
  const own = ['DATABASE_URL', 'NAMESPACE', 'EVENT_BUS', 'SIGNING_KEYS_DIRECTORY', 'LISTEN_HOST', 'METRICS_HOST'];
  expect(parseEnvironment(triggerConfiguration, events)).toEqual(
    parseEnvironment(triggerConfiguration, required(events, ...own)),
  );
  const people = environmentOf(find(objects, 'Deployment', 'edge-migration-console'));
  expect(parseEnvironment(consoleConfiguration, people)).toEqual(
    parseEnvironment(
      consoleConfiguration,
      required(people, 'NAMESPACE', 'OPERATOR_NAMESPACE', 'LISTEN_HOST', 'METRICS_HOST'),
    ),
  );
  expect(parseEnvironment(applierConfiguration, applier)).toEqual(
    parseEnvironment(applierConfiguration, required(applier, ...installation)),
  );
});

import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { CoreFeatureValue, CoreIdentity, CoreOverride } from '@edge-migration/identity/core/identity.ts';
import { encodeIdentity } from '@edge-migration/identity/edge/document/document.ts';
import { beforeAll, describe, expect, test } from 'vitest';
import { CACHE, provide } from '../cluster/cache.ts';
import { findPython } from '../differential/python.ts';

/** Core's data: an environment with four features, and a segment of the adults of one plan, with an override of one. */
const FEATURES = [
  { id: 1, name: 'dark-mode', type: 'STANDARD', enabled: false, value: null },
  { id: 2, name: 'banner', type: 'STANDARD', enabled: true, value: 'hello' },
  { id: 3, name: 'limit', type: 'STANDARD', enabled: true, value: 10 },
  { id: 4, name: 'layout', type: 'MULTIVARIATE', enabled: true, value: 'control' },
] as const;
const OPTION = { id: 41, value: 'one-page' };
const OF_ADULTS = { enabled: true, value: 100 };
const ENVIRONMENT = {
  id: 7,
  apiKey: 'EnvKey',
  name: 'Production',
  allowClientTraits: true,
  useV2FeatureVersioning: false,
};
const IDENTITIES = 300;

const here = (name: string) => new URL(name, import.meta.url).pathname;
const uuid = (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;

/** Every combination of traits and overrides occurs, by the digits of the index. */
function coreIdentity(index: number, allocation: number): CoreIdentity {
  const plan = ['gold', 'silver', '', '10'][index % 4] ?? '';
  const age = [17, 18, 64.5, -1, 10_000_000][Math.floor(index / 4) % 5] ?? 0;
  const traits = [
    { id: 1, key: 'plan', type: 'unicode', value: plan },
    { id: 2, key: 'age', type: Number.isInteger(age) ? 'int' : 'float', value: age },
    { id: 3, key: 'beta', type: 'bool', value: index % 2 === 0 },
    { id: 4, key: 'näme "quoted"', type: 'unicode', value: 'ä'.repeat(index % 40) },
  ];
  const overrides = FEATURES.filter((_, bit) => (Math.floor(index / 20) >> bit) & 1);
  return {
    id: index + 1,
    identifier: `person ${index} é@x`,
    createdDate: '2024-01-02T03:04:05.678901',
    systemTraits: null,
    overrideWinner: 'latestLiveFrom',
    traits: index % 7 === 0 ? [] : traits,
    overrides: overrides.map(({ id, name, type }) => coreOverride({ index, allocation, id, name, type })),
  };
}

const VALUES: readonly CoreFeatureValue[] = ['text', 3, true, null, '42', ''];

interface OverrideSpec {
  index: number;
  /** Percentage of the option that it may pick. */
  allocation: number;
  id: number;
  name: string;
  type: string;
}

function coreOverride(spec: OverrideSpec): CoreOverride {
  const { index, allocation, id: featureId, name: featureName, type: featureType } = spec;
  const isMultivariate = featureType === 'MULTIVARIATE';
  return {
    id: index * 10 + featureId,
    uuid: uuid(index * 10 + featureId),
    featureId,
    featureName,
    featureType,
    environmentId: ENVIRONMENT.id,
    enabled: index % 3 === 0,
    liveFrom: '2024-01-02T03:04:05.678901',
    version: 1,
    hashingSalt: null,
    value: isMultivariate ? 'control' : (VALUES[index % VALUES.length] ?? null),
    multivariateValues: isMultivariate
      ? [
          {
            id: index + 1,
            uuid: uuid(90_000 + index),
            percentageAllocation: allocation,
            optionId: OPTION.id,
            optionValue: OPTION.value,
            optionKey: null,
          },
        ]
      : [],
  };
}

/** Core's rules: an identity's own override, then that of a segment that it is in, then the environment's state. */
function expectedFlags({ traits, overrides }: CoreIdentity) {
  const trait = (key: string) => traits.find((each) => each.key === key)?.value;
  const isAdult = Number(trait('age') ?? 0) >= 18 && trait('plan') === 'gold';
  return Object.fromEntries(
    FEATURES.map(({ id, name, enabled, value }) => {
      const own = overrides.find(({ featureId }) => featureId === id);
      if (own !== undefined) return [name, [own.enabled, own.value]];
      return [name, id === 3 && isAdult ? [OF_ADULTS.enabled, OF_ADULTS.value] : [enabled, value]];
    }),
  );
}

/** As Flagsmith writes it to `flagsmith_environments`. */
function environmentDocument() {
  const state = (feature: (typeof FEATURES)[number], changes: object = {}) => ({
    feature: { id: feature.id, name: feature.name, type: feature.type },
    enabled: feature.enabled,
    feature_state_value: feature.value,
    featurestate_uuid: uuid(feature.id),
    django_id: feature.id,
    feature_segment: null,
    multivariate_feature_state_values: [],
    ...changes,
  });
  const condition = (property_: string, operator: string, value: string) => ({ property_, operator, value });
  const conditions = [condition('age', 'GREATER_THAN_INCLUSIVE', '18'), condition('plan', 'EQUAL', 'gold')];
  const changes = {
    enabled: OF_ADULTS.enabled,
    feature_state_value: OF_ADULTS.value,
    feature_segment: { priority: 0 },
  };
  const segment = {
    id: 1,
    name: 'gold adults',
    rules: [{ type: 'ALL', rules: [{ type: 'ALL', rules: [], conditions }], conditions: [] }],
    feature_states: [state(FEATURES[2], { ...changes, featurestate_uuid: uuid(50) })],
  };
  const organisation = {
    id: 1,
    name: 'o',
    persist_trait_data: true,
    stop_serving_flags: false,
    feature_analytics: false,
  };
  return {
    id: ENVIRONMENT.id,
    api_key: ENVIRONMENT.apiKey,
    name: ENVIRONMENT.name,
    use_identity_composite_key_for_hashing: true,
    project: { id: 1, name: 'p', organisation, hide_disabled_flags: false, segments: [segment] },
    feature_states: FEATURES.map((feature) => state(feature)),
  };
}

/** An attribute as boto3 would give it to a program. */
function plain(value: AttributeValue): unknown {
  if (value.N !== undefined) return Number(value.N);
  if (value.L !== undefined) return value.L.map(plain);
  if (value.M !== undefined)
    return Object.fromEntries(Object.entries(value.M).map(([key, each]) => [key, plain(each)]));
  return value.S ?? value.BOOL ?? null;
}

function encode(identity: CoreIdentity) {
  const encoded = encodeIdentity(identity, ENVIRONMENT);
  return encoded.kind === 'document' ? plain({ M: encoded.item }) : expect.fail(encoded.detail);
}

/** Flagsmith's published packages, in a separate virtual environment. */
async function provideEngine(): Promise<string> {
  const python = findPython() ?? expect.fail('no Python');
  const requirements = here('requirements.txt');
  const key = hash('sha256', readFileSync(requirements)).slice(0, 12);
  const path = join(CACHE, `engine-python${python.version}-${key}`);
  const run = (command: string, args: string[]) => {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  };
  const options = ['--quiet', '--disable-pip-version-check', '--only-binary=:all:'];
  const build = async (to: string) => {
    run(python.command, ['-m', 'venv', to]);
    run(join(to, 'bin', 'python'), ['-m', 'pip', 'install', ...options, '-r', requirements]);
  };
  await provide([{ title: "Flagsmith's flag engine", path, build }], {});
  return join(path, 'bin', 'python');
}

// A machine without Python cannot run this; CI must.
const canTell = findPython() !== undefined || process.env['CI'] !== undefined;

describe.skipIf(!canTell)("Flagsmith's own engine, given only the documents on Edge,", () => {
  let engine: string;
  beforeAll(async () => {
    engine = await provideEngine();
  });

  function evaluate(identities: readonly CoreIdentity[]): unknown[] {
    const input = JSON.stringify({ environment: environmentDocument(), identities: identities.map(encode) });
    const { status, stdout, stderr } = spawnSync(engine, [here('evaluate.py')], { input, encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout);
  }

  test(`gives ${IDENTITIES} identities the flags that Core's rules give them`, () => {
    const identities = Array.from({ length: IDENTITIES }, (_, index) => coreIdentity(index, 0));
    const flags = evaluate(identities);
    expect(flags).toHaveLength(IDENTITIES);
    for (const [index, identity] of identities.entries()) {
      expect(flags[index], identity.identifier).toEqual(expectedFlags(identity));
    }
  });

  test("uses the value of an override, not the option that it picks, which only Flagsmith's dashboard uses", () => {
    const identity = coreIdentity(160, 100);
    expect(identity.overrides.at(-1)?.multivariateValues[0]?.optionValue).toBe(OPTION.value);
    expect(evaluate([identity])[0]).toMatchObject({ layout: [expect.any(Boolean), 'control'] });
  });
});

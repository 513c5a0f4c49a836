/** Properties of the chart that need no cluster. Its EdgeMigration CRD is a link to the one in crds/. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { listValues, renderReadme } from '../../scripts/chart-readme.ts';
import { binary } from '../cluster/binaries.ts';
import { CHART, find, helm, type Manifest, render, VARIANTS } from './helm.ts';

const DEFINITION = 'edgemigrations.edge.flagsmith.com.yaml';
const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const TRIAL = ['--set', 'nats.bundled.enabled=true,nats.bundled.users.existingSecret=nats-users'];
const HANDOVER =
  'nats.servers={nats://nats:4222},handover.mode=Run,dynamodb.environmentsTable=environments,dynamodb.environmentsApiKeyTable=keys';

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'chart-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

describe('the chart with helm', { timeout: 600_000 }, () => {
  it.each(VARIANTS)('lints with values for %s', async (_, file) => {
    await expect(helm(['lint', CHART, '--strict', '--values', file])).resolves.toContain('0 chart(s) failed');
  });

  it('packages, and renders the same from the package', async () => {
    await using folder = await temporaryFolder();
    const packed = /saved it to: (\S+)/.exec(await helm(['package', CHART, '--destination', folder.path]))?.[1];
    const args = ['--namespace', 'ours', ...TRIAL];
    const expected = await helm(['template', 'edge-migration', CHART, ...args]);
    expect(await helm(['template', 'edge-migration', packed ?? '', ...args])).toBe(expected);
  });

  it('passes its helm-unittest template tests', async () => {
    const { stdout } = await promisify(execFile)(await binary('helm-unittest'), [CHART, '--strict']);
    expect(stdout).toMatch(/Tests:\s+\d+ passed/);
  });
});

describe('the EdgeMigration CRD in the chart', () => {
  it('is installed with the release, kept on uninstall, and otherwise equals the committed CRD', async () => {
    const [definition] = (await render('ours', TRIAL)).filter(({ kind }) => kind === 'CustomResourceDefinition');
    const source = parse(read(`crds/${DEFINITION}`)) as Manifest;
    expect(definition?.metadata.annotations).toMatchObject({ 'helm.sh/resource-policy': 'keep' });
    expect(definition?.['spec']).toEqual(source['spec']);
  });
});

describe('the chart values', () => {
  it('are exactly those in the schema', () => {
    const leaves = (value: unknown, path: string): string[] => {
      const isWhole = listValues().some((known) => known.path === path);
      if (isWhole || typeof value !== 'object' || value === null || Array.isArray(value)) return [path];
      return Object.entries(value).flatMap(([name, inner]) => leaves(inner, path === '' ? name : `${path}.${name}`));
    };
    const set = leaves(parse(read('charts/edge-migration/values.yaml')), '');
    expect(set.toSorted()).toEqual(
      listValues()
        .map(({ path }) => path)
        .toSorted(),
    );
  });

  it('each have a description', () => {
    expect(listValues().filter(({ description }) => description.length < 5)).toEqual([]);
  });

  it('are in the README (else: node scripts/chart-readme.ts)', () => {
    expect(read('charts/edge-migration/README.md')).toBe(renderReadme());
  });

  it('reject unknown keys in every object that the chart defines', () => {
    const open: string[] = [];
    const walk = (schema: Record<string, unknown>, path: string) => {
      const { properties, items, additionalProperties } = schema as Record<string, Record<string, object>>;
      if (properties !== undefined && (additionalProperties as unknown) !== false) open.push(path);
      for (const [name, inner] of Object.entries(properties ?? {})) walk(inner as never, `${path}.${name}`);
      if (items !== undefined) walk(items as never, `${path}[]`);
    };
    walk(JSON.parse(read('charts/edge-migration/values.schema.json')), '');
    expect(open).toEqual([]);
  });

  it.each([
    ['operator.replica=2', "at '/operator': additional properties 'replica' not allowed"],
    ['capture.mode=Sometimes', "at '/capture/mode': value must be one of 'Required', 'Disabled'"],
    ['nats.servers={http://nats}', "at '/nats/servers/0': 'http://nats' does not match pattern"],
    ['nats.servers={nats://user:word@nats:4222}', "at '/nats/servers/0': 'nats://user:word@nats:4222' does not match"],
    ['operator.replicas=0', "at '/operator/replicas': minimum: got 0, want 1"],
    ['database.existingSecret.name=', "at '/database/existingSecret/name': minLength: got 0, want 1"],
    ['image.digest=latest', "at '/image/digest'"],
    ['applier.extraEnv[0].value=x', "missing property 'name'"],
    ['capture.mode=Required', 'nats.servers is empty: set it'],
    ['nats.bundled.enabled=true,nats.servers={nats://nats:4222}', 'exclude each other'],
    ['nats.bundled.enabled=true,nats.credentials.existingSecret=n', 'are for servers of your own'],
    ['nats.servers={nats://n:4222},nats.credentials.operator.user=', 'minLength: got 0, want 1'],
    ['nats.servers={nats://n:4222},handover.mode=Verify', 'handover.mode needs dynamodb.environmentsTable'],
    ['dynamodb.failover.afterSeconds=300', "at '/dynamodb/otherRegions': minItems: got 0, want 1"],
    ['dynamodb.otherRegions={us-east-2,us-east-2}', "at '/dynamodb/otherRegions'"],
    ['trigger.eventBus=arn:aws:events:x', "at '/trigger/eventBus'"],
    ['console.impersonation.groups={system:masters}', "at '/console/impersonation/groups/0'"],
    ['trigger.migrationTemplate.spec.mode=Plan', "additional properties 'mode' not allowed"],
  ])('are rejected when they are wrong: %s', async (wrong, message) => {
    await expect(helm(['template', 'edge-migration', CHART, '--set', wrong])).rejects.toThrow(message);
  });
});

describe('the RBAC rules of the chart', () => {
  interface Rule {
    apiGroups: string[];
    resources: string[];
    verbs: string[];
  }

  /** All rules of one account, in any role. */
  function rulesOf(objects: readonly Manifest[], account: RegExp): string[] {
    const bindings = objects.filter(
      ({ kind, subjects }) =>
        /RoleBinding$/.test(kind) && (subjects as { name: string }[]).some(({ name }) => account.test(name)),
    );
    return bindings
      .flatMap(({ roleRef }) => {
        const { kind, name } = roleRef as { kind: string; name: string };
        const role = objects.find((object) => object.kind === kind && object.metadata.name === name);
        return ((role?.['rules'] ?? []) as Rule[]).map((rule) => JSON.stringify([kind, rule]));
      })
      .toSorted();
  }

  it.each(['operator', 'worker', 'applier', 'trigger', 'console'])(
    'for the %s match the plain manifests',
    async (component) => {
      const manifests = [
        'operator/deploy/rbac.yaml',
        'operator/deploy/trigger.yaml',
        'operator/deploy/console.yaml',
        'replay-sidecar/deploy/applier.yaml',
      ];
      const plain = manifests.flatMap((path) =>
        parseAllDocuments(read(path)).map((document) => document.toJS() as Manifest),
      );
      const trigger = 'trigger.enabled=true,trigger.signingKeys.existingSecret=keys';
      const optional = `${trigger},console.enabled=true`;
      const args = ['--set', `nats.servers={nats://nats:4222},capture.coreApi.namespace=flagsmith,${optional}`];
      const account = new RegExp(`^edge-migration-${component}$`);
      expect(rulesOf(await render('edge-migration', args), account)).toEqual(rulesOf(plain, account));
    },
  );

  it('for hand-overs match the plain manifests, and exist only where hand-over is enabled', async () => {
    const paths = [
      'operator/deploy/rbac.yaml',
      'replay-sidecar/deploy/applier.yaml',
      'operator/deploy/rbac-handover.yaml',
    ];
    const plain = paths.flatMap((path) => parseAllDocuments(read(path)).map((document) => document.toJS() as Manifest));
    const values = `${HANDOVER},capture.coreApi.namespace=flagsmith`;
    const objects = await render('edge-migration', ['--set', values]);
    const account = /^edge-migration-operator$/;
    expect(rulesOf(objects, account)).toEqual(rulesOf(plain, account));
    const validationsOf = (all: readonly Manifest[]) =>
      (find(all, 'ValidatingAdmissionPolicy', 'edge-migration-handover')['spec'] as { validations: unknown })
        .validations;
    expect(validationsOf(objects)).toEqual(validationsOf(plain));
  });

  it("leave hand-over pods without an API server token even when the Core API shares the release's namespace", async () => {
    const objects = await render('edge-migration', ['--set', HANDOVER]);
    const policy = find(objects, 'ValidatingAdmissionPolicy', 'edge-migration-own-objects');
    const { validations } = policy['spec'] as { validations: { expression: string; message: string }[] };
    const rule = validations.find(({ message }) => message.includes("workers' service account"));
    expect(rule?.expression).toMatch(/-handover-\S+ && \S+\.automountServiceAccountToken == false\) \|\|/);
  });

  it('give ordinary users nothing while all namespaces are watched, unless asked to', async () => {
    const isAggregated = ({ metadata }: Manifest) =>
      Object.keys(metadata.labels ?? {}).some((label) => label.includes('aggregate-to-'));
    const aggregated = async (...args: string[]) =>
      (await render('ours', ['--set', 'capture.mode=Disabled', ...args])).filter(isAggregated).length;
    expect(await aggregated()).toBe(0);
    expect(await aggregated('--set', 'rbac.aggregate=true')).toBe(2);
    expect(await aggregated('--set', 'watchNamespaces={customers}')).toBe(2);
    expect(await aggregated('--set', 'watchNamespaces={customers},rbac.aggregate=false')).toBe(0);
  });

  it("reach only the Core API's namespace and the watched ones when the namespaces are listed", async () => {
    const objects = await render('ours', ['--values', `${CHART}/ci/namespaces-values.yaml`]);
    expect(objects.filter(({ kind }) => /^ClusterRole/.test(kind))).toEqual([]);
    const namespaces = objects.filter(({ kind }) => kind === 'Role').map(({ metadata }) => metadata.namespace);
    expect(new Set(namespaces)).toEqual(new Set(['ours', 'chart-team-a', 'chart-team-b', 'chart-flagsmith']));
  });
});

import { EDGE_MIGRATIONS, parseEdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import type { Resource } from '@edge-migration/kubernetes/client.ts';
import { ApiError, NotFoundError } from '@edge-migration/kubernetes/errors.ts';
import { CONFIG_MAPS, PODS } from '@edge-migration/kubernetes/resources.ts';
import { readServerVersion } from '@edge-migration/kubernetes/server-version.ts';
import { INSTALLATION_REPORT, installationReport, REPORT_KEY } from '@edge-migration/operator/installation/report.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { z } from 'zod';
import manifest from '../../package.json' with { type: 'json' };
import {
  type CheckupFacts,
  type DefinitionFact,
  examine,
  type OperatorFact,
  type Right,
  type ServerFact,
} from '../checkup.ts';
import { type Context, type Format, isMachineFormat, serialise } from '../context.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import type { InstallationFact } from '../installation.ts';
import { renderCheckup } from '../render/checkup.ts';
import { OPERATOR_PODS } from './logs.ts';
import { runProbe } from './probe.ts';

const DEFINITIONS: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};
const REVIEWS: Resource = {
  group: 'authorization.k8s.io',
  version: 'v1',
  plural: 'selfsubjectaccessreviews',
  kind: 'SelfSubjectAccessReview',
  namespaced: false,
};

export interface DoctorOptions {
  readonly operatorNamespace: string;
  readonly allNamespaces: boolean;
  /** Run the check of `helm test` in the cluster. */
  readonly probe: boolean;
  readonly output?: Format | undefined;
}

/** Reports problems of the installation and its migrations. @returns unwell if a check failed */
export async function doctor(context: Context, options: DoctorOptions): Promise<ExitCode> {
  const { cluster, terminal, clock } = context;
  const { operatorNamespace, probe } = options;
  const facts: CheckupFacts = {
    release: manifest.version,
    server: await readServer(context),
    definition: await readDefinition(context),
    rights: await reviewRights(context, { namespace: cluster.namespace, operatorNamespace, probe }),
    operator: await readOperator(context, operatorNamespace),
    operatorNamespace,
    installation: await readInstallation(context, operatorNamespace),
    probe: probe ? await runProbe(context, operatorNamespace) : undefined,
    now: clock.now(),
    migrations: await readMigrations(context, options.allNamespaces),
  };
  const findings = examine(facts);
  const { output } = options;
  terminal.write(isMachineFormat(output) ? serialise(output, { findings }) : renderCheckup(findings, terminal.paint));
  return findings.some(({ verdict }) => verdict === 'failed') ? EXIT.unwell : EXIT.done;
}

const definitionSchema = z.object({
  spec: z.object({
    versions: z.array(
      z.object({
        name: z.string(),
        served: z.boolean(),
        schema: z.object({
          openAPIV3Schema: z.object({
            properties: z.object({ spec: z.object({ properties: z.record(z.string(), z.unknown()) }) }),
          }),
        }),
      }),
    ),
  }),
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) }).optional(),
});

/** A refusal of the API server is itself a fact. */
async function observe<T>(read: () => Promise<T>): Promise<T | { kind: 'unreadable'; problem: string }> {
  try {
    return await read();
  } catch (error) {
    // Without any answer no check is meaningful.
    if (!(error instanceof ApiError) || error.status === 0 || error.status === 401) throw error;
    return { kind: 'unreadable', problem: errorMessage(error) };
  }
}

function readServer({ cluster, clock, signal }: Context): Promise<ServerFact> {
  return observe(async () => {
    const { version, time } = await readServerVersion(cluster.kubeConfig, signal);
    return { kind: 'found', version, ahead: time === undefined ? undefined : clock.now() - time };
  });
}

const reportSchema = z.object({
  metadata: z.object({ managedFields: z.array(z.object({ time: z.iso.datetime().optional() })).default([]) }),
  data: z.object({ [REPORT_KEY]: z.string() }),
});

/** The operator's report of the installation; one of another release, or a damaged one, is ignored. */
function readInstallation({ cluster: { client }, signal }: Context, namespace: string): Promise<InstallationFact> {
  return observe(async () => {
    const object = await client.get(CONFIG_MAPS, { namespace, name: INSTALLATION_REPORT }, { signal });
    if (object === undefined) return { kind: 'missing' };
    try {
      const { metadata, data } = reportSchema.parse(object);
      const report = installationReport.parse(JSON.parse(data[REPORT_KEY]!));
      const times = metadata.managedFields.flatMap(({ time }) => (time === undefined ? [] : [Date.parse(time)]));
      return { kind: 'found', report, savedTime: times.length === 0 ? Date.parse(report.time) : Math.max(...times) };
    } catch {
      return { kind: 'unreadable', problem: `ConfigMap ${INSTALLATION_REPORT} is of another release, or damaged` };
    }
  });
}

function readDefinition({ cluster: { client }, signal }: Context): Promise<DefinitionFact> {
  return observe(async () => {
    const name = `${EDGE_MIGRATIONS.plural}.${EDGE_MIGRATIONS.group}`;
    const object = await client.get(DEFINITIONS, { name }, { signal });
    if (object === undefined) return { kind: 'missing' };
    const { spec, status } = definitionSchema.parse(object);
    const version = spec.versions.find((candidate) => candidate.name === EDGE_MIGRATIONS.version);
    return {
      kind: 'found',
      established: status?.conditions.some((one) => one.type === 'Established' && one.status === 'True') ?? false,
      served: version?.served ?? false,
      specFields: Object.keys(version?.schema.openAPIV3Schema.properties.spec.properties ?? {}),
    };
  });
}

const podSchema = z.object({
  metadata: z.object({ name: z.string() }),
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) }).optional(),
});

function readOperator({ cluster: { client }, signal }: Context, namespace: string): Promise<OperatorFact> {
  return observe(async () => {
    const { items } = await client.list(PODS, { namespace, labelSelector: OPERATOR_PODS }, { signal });
    const pods = items.map((item) => {
      const { metadata, status } = podSchema.parse(item);
      const ready = status?.conditions.some(({ type, status: state }) => type === 'Ready' && state === 'True') ?? false;
      return { name: metadata.name, ready };
    });
    return { kind: 'found', pods };
  });
}

async function readMigrations({ cluster, signal }: Context, allNamespaces: boolean) {
  const scope = allNamespaces ? {} : { namespace: cluster.namespace };
  const found = await observe(async () => {
    try {
      const { items } = await cluster.client.list(EDGE_MIGRATIONS, scope, { signal });
      return { kind: 'found' as const, items };
    } catch (error) {
      // The kind is not served, which the check of the definition reports.
      if (error instanceof NotFoundError) return { kind: 'unreadable' as const, problem: errorMessage(error) };
      throw error;
    }
  });
  return found.kind === 'found' ? found.items.map(parseEdgeMigration) : undefined;
}

const MIGRATIONS = `${EDGE_MIGRATIONS.plural}.${EDGE_MIGRATIONS.group}`;

interface Places {
  readonly namespace: string;
  readonly operatorNamespace: string;
  readonly probe: boolean;
}

async function reviewRights(context: Context, { namespace, operatorNamespace, probe }: Places): Promise<Right[]> {
  const forProbe = { namespace: operatorNamespace, need: 'run the check of helm test (doctor --probe)' };
  const wanted: Omit<Right, 'allowed'>[] = [
    { verb: 'get', resource: MIGRATIONS, namespace, need: 'read one migration' },
    { verb: 'list', resource: MIGRATIONS, namespace, need: 'list migrations' },
    { verb: 'create', resource: MIGRATIONS, namespace, need: 'plan and start' },
    {
      verb: 'patch',
      resource: MIGRATIONS,
      namespace,
      need: 'suspend, resume, retry, verify, repair, extend and finish',
    },
    { verb: 'list', resource: 'events', namespace, need: 'see events' },
    {
      verb: 'get',
      resource: 'configmaps',
      namespace: operatorNamespace,
      need: "write complete reports, and read the operator's report of the installation",
    },
    { verb: 'list', resource: 'pods', namespace: operatorNamespace, need: 'find the pods whose logs are printed' },
    { verb: 'get', resource: 'pods/log', namespace: operatorNamespace, need: 'read logs' },
    ...(probe
      ? [
          { verb: 'list', resource: 'deployments.apps', ...forProbe },
          { verb: 'create', resource: 'jobs.batch', ...forProbe },
          { verb: 'delete', resource: 'jobs.batch', ...forProbe },
        ]
      : []),
  ];
  return Promise.all(wanted.map(async (right) => ({ ...right, allowed: await mayDo(context, right) })));
}

async function mayDo({ cluster, signal }: Context, right: Omit<Right, 'allowed'>): Promise<boolean> {
  const [full = '', subresource] = right.resource.split('/');
  const [resource, ...group] = full.split('.');
  const { verb, namespace } = right;
  const resourceAttributes = { verb, namespace, group: group.join('.'), resource, subresource };
  const head = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', metadata: { name: '' } };
  const answer = await cluster.client.create(REVIEWS, { ...head, spec: { resourceAttributes } }, { signal });
  return z.object({ status: z.object({ allowed: z.boolean() }) }).parse(answer).status.allowed;
}

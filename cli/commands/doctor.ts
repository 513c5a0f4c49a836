import { EDGE_MIGRATIONS, parseEdgeMigration } from '@edge-migration/operator/edge-migration/api.ts';
import { PODS } from '@edge-migration/operator/edge-migration/resources.ts';
import type { Resource } from '@edge-migration/operator/kubernetes/client.ts';
import { ApiError, errorMessage, NotFoundError } from '@edge-migration/operator/kubernetes/errors.ts';
import { z } from 'zod';
import { type CheckupFacts, type DefinitionFact, examine, type OperatorFact, type Right } from '../checkup.ts';
import { type Context, type Format, isMachineFormat, serialise } from '../context.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { renderCheckup } from '../render/checkup.ts';
import { OPERATOR_PODS } from './logs.ts';

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
  readonly output?: Format | undefined;
}

/** Says what is wrong with the installation and its migrations, and what to do. @returns unwell when a check failed */
export async function doctor(context: Context, options: DoctorOptions): Promise<ExitCode> {
  const { cluster, terminal } = context;
  const facts: CheckupFacts = {
    definition: await readDefinition(context),
    rights: await reviewRights(context, cluster.namespace, options.operatorNamespace),
    operator: await readOperator(context, options.operatorNamespace),
    operatorNamespace: options.operatorNamespace,
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

/** What the API server refuses to tell is a fact of its own. */
async function observe<T>(read: () => Promise<T>): Promise<T | { kind: 'unreadable'; problem: string }> {
  try {
    return await read();
  } catch (error) {
    // Without an answer at all no check means anything.
    if (!(error instanceof ApiError) || error.status === 0 || error.status === 401) throw error;
    return { kind: 'unreadable', problem: errorMessage(error) };
  }
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
      // The kind is not served, which the check of the definition says.
      if (error instanceof NotFoundError) return { kind: 'unreadable' as const, problem: errorMessage(error) };
      throw error;
    }
  });
  return found.kind === 'found' ? found.items.map(parseEdgeMigration) : undefined;
}

const MIGRATIONS = `${EDGE_MIGRATIONS.plural}.${EDGE_MIGRATIONS.group}`;

async function reviewRights(context: Context, namespace: string, operatorNamespace: string): Promise<Right[]> {
  const wanted: Omit<Right, 'allowed'>[] = [
    { verb: 'get', resource: MIGRATIONS, namespace, need: 'look at one migration' },
    { verb: 'list', resource: MIGRATIONS, namespace, need: 'list migrations' },
    { verb: 'create', resource: MIGRATIONS, namespace, need: 'plan and start' },
    {
      verb: 'patch',
      resource: MIGRATIONS,
      namespace,
      need: 'suspend, resume, retry, verify, repair, extend and finish',
    },
    { verb: 'list', resource: 'events', namespace, need: 'see events' },
    { verb: 'get', resource: 'configmaps', namespace: operatorNamespace, need: 'write whole reports' },
    { verb: 'list', resource: 'pods', namespace: operatorNamespace, need: 'find the pods whose logs are read' },
    { verb: 'get', resource: 'pods/log', namespace: operatorNamespace, need: 'read logs' },
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

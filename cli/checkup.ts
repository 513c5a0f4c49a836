import { type EdgeMigration, specSchema, titleOf } from '@edge-migration/contract/edge-migration/api.ts';
import { type ConditionType, recordedCondition } from '@edge-migration/operator/edge-migration/conditions.ts';
import { formatDuration } from '@edge-migration/operator/requests/duration.ts';
import { examineInstallation, examineProbe, type InstallationFact, type ProbeFact } from './installation.ts';

export type CheckStatus = 'ok' | 'warning' | 'failed' | 'unknown';

/** A result of `doctor`. */
export interface CheckResult {
  readonly check: string;
  readonly verdict: CheckStatus;
  readonly message: string;
  /** The remedy. */
  readonly remedy?: string;
}

export interface Right {
  readonly verb: string;
  /** For example `edgemigrations.edge.flagsmith.com` or `pods/log`. */
  readonly resource: string;
  readonly namespace: string;
  /** What the right is needed for. */
  readonly need: string;
  readonly allowed: boolean;
}

/** The installed definition. */
export type DefinitionFact =
  | {
      readonly kind: 'found';
      readonly established: boolean;
      readonly served: boolean;
      readonly specFields: readonly string[];
    }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly problem: string };

/** The operator's pods. */
export type OperatorFact =
  | { readonly kind: 'found'; readonly pods: readonly { readonly name: string; readonly ready: boolean }[] }
  | { readonly kind: 'unreadable'; readonly problem: string };

/** The API server. */
export type ServerFact =
  | {
      readonly kind: 'found';
      readonly version: string;
      /** Milliseconds by which this machine's clock is ahead of the server's, to the second; undefined if unknown. */
      readonly ahead: number | undefined;
    }
  | { readonly kind: 'unreadable'; readonly problem: string };

export interface CheckupFacts {
  /** Of this program. */
  readonly release: string;
  readonly server: ServerFact;
  /** By this machine's clock, milliseconds since the epoch. */
  readonly now: number;
  readonly installation: InstallationFact;
  readonly probe: ProbeFact;
  readonly definition: DefinitionFact;
  readonly rights: readonly Right[];
  readonly operator: OperatorFact;
  readonly operatorNamespace: string;
  /** Undefined if they cannot be listed. */
  readonly migrations: readonly EdgeMigration[] | undefined;
}

/** Judges an installation by the facts from the API server. */
export function examine(facts: CheckupFacts): CheckResult[] {
  const migrations = facts.migrations?.flatMap(examineMigration) ?? [];
  const { server, now, installation, release } = facts;
  const serverNow = now - (server.kind === 'found' ? (server.ahead ?? 0) : 0);
  return [
    ...examineServer(server),
    examineDefinition(facts.definition),
    ...examineRights(facts.rights),
    examineOperator(facts.operator, facts.operatorNamespace),
    ...examineInstallation(installation, serverNow, release),
    ...examineProbe(facts.probe),
    summariseMigrations(facts.migrations, migrations.length),
    ...migrations,
  ];
}

/** Per-index back-off of Jobs and sidecar containers exist since this minor release of Kubernetes 1. */
const OLDEST_MINOR = 33;
/** The server reports whole seconds, and its answer takes a while. */
const SKEW_MS = 5_000;

function examineServer(server: ServerFact): CheckResult[] {
  const check = 'Kubernetes';
  if (server.kind === 'unreadable')
    return [{ check, verdict: 'unknown', message: `the API server does not report its version: ${server.problem}` }];
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(server.version) ?? [];
  const isOld = Number(major) === 1 && Number(minor) < OLDEST_MINOR;
  const version: CheckResult = isOld
    ? {
        check,
        verdict: 'failed',
        message: `the API server is ${server.version}`,
        remedy: `upgrade to 1.${OLDEST_MINOR} or newer: docs/install.md`,
      }
    : { check, verdict: 'ok', message: `the API server is ${server.version}` };
  const { ahead } = server;
  if (ahead === undefined || Math.abs(ahead) <= SKEW_MS) return [version];
  const message = `this machine's clock is ${formatDuration(Math.abs(ahead) / 1000)} ${ahead > 0 ? 'ahead of' : 'behind'} the API server's`;
  const remedy = 'ages and remaining times that this program shows are wrong by that much: correct the clock';
  return [version, { check: 'clock', verdict: 'warning', message, remedy }];
}

function examineDefinition(definition: DefinitionFact): CheckResult {
  const check = 'definition';
  const remedy = 'install or upgrade the chart: docs/install.md, docs/upgrade.md';
  if (definition.kind === 'unreadable')
    return { check, verdict: 'unknown', message: `the CustomResourceDefinition cannot be read: ${definition.problem}` };
  if (definition.kind === 'missing')
    return {
      check,
      verdict: 'failed',
      message: 'the cluster has no CustomResourceDefinition of EdgeMigration',
      remedy,
    };
  if (!definition.established || !definition.served)
    return { check, verdict: 'failed', message: 'the API server does not serve EdgeMigrations of v1alpha1', remedy };
  const unknown = Object.keys(specSchema.shape).filter((field) => !definition.specFields.includes(field));
  if (unknown.length === 0) return { check, verdict: 'ok', message: 'EdgeMigrations of v1alpha1 are served' };
  const message = `the CustomResourceDefinition is older than this program: it lacks spec.${unknown.join(', spec.')}`;
  return { check, verdict: 'warning', message, remedy };
}

function examineRights(rights: readonly Right[]): CheckResult[] {
  const missing = rights.filter(({ allowed }) => !allowed);
  if (missing.length === 0) return [{ check: 'rights', verdict: 'ok', message: 'you may use every command' }];
  return missing.map(({ verb, resource, namespace, need }) => ({
    check: 'rights',
    verdict: 'warning',
    message: `you may not ${verb} ${resource} in namespace ${namespace}`,
    remedy: `it is needed to ${need}: ask for a Role that allows it`,
  }));
}

function examineOperator(operator: OperatorFact, namespace: string): CheckResult {
  const check = 'operator';
  if (operator.kind === 'unreadable')
    return { check, verdict: 'unknown', message: `its pods cannot be listed: ${operator.problem}` };
  const { pods } = operator;
  const ready = pods.filter((pod) => pod.ready);
  if (pods.length === 0) {
    const remedy = 'name its namespace with --operator-namespace, or install it: docs/install.md';
    return { check, verdict: 'failed', message: `namespace ${namespace} has no pod of the operator`, remedy };
  }
  const remedy = `kubectl -n ${namespace} describe pod ${pods.find((pod) => !pod.ready)?.name}`;
  if (ready.length === 0) return { check, verdict: 'failed', message: 'none of its pods is ready', remedy };
  const message = `${ready.length} of ${pods.length} pods are ready`;
  return ready.length < pods.length
    ? { check, verdict: 'warning', message, remedy }
    : { check, verdict: 'ok', message };
}

function summariseMigrations(migrations: readonly EdgeMigration[] | undefined, findings: number): CheckResult {
  const check = 'migrations';
  if (migrations === undefined) return { check, verdict: 'unknown', message: 'EdgeMigrations cannot be listed' };
  const count = `${migrations.length} EdgeMigration${migrations.length === 1 ? '' : 's'}`;
  const message = findings === 0 ? `${count}, all without problems` : `${count}; problems follow`;
  return { check, verdict: 'ok', message };
}

/** Conditions that require action. */
export function examineMigration(migration: EdgeMigration): CheckResult[] {
  const { status, generation } = migration;
  const check = titleOf(migration);
  if (status.conditions === undefined || (status.observedGeneration ?? 0) < generation) {
    const message = 'the operator has not processed its spec yet';
    return [
      {
        check,
        verdict: 'warning',
        message,
        remedy: 'if it lasts: docs/runbooks/EdgeMigrationNoLeader.md, or the namespace is not watched',
      },
    ];
  }
  return [...JUDGED.flatMap((judge) => judge(migration)), ...examineGaps(migration)].map((finding) => ({
    check,
    ...finding,
  }));
}

type Judge = (migration: EdgeMigration) => Omit<CheckResult, 'check'>[];
type Concerns = (reason: string, migration: EdgeMigration) => boolean;

/** The condition in an unhealthy state; its own message has the remedy, the page has more. */
function judges(
  type: ConditionType,
  state: string,
  verdict: CheckStatus,
  page: string,
  concerns: Concerns = () => true,
): Judge {
  return (migration) => {
    const condition = recordedCondition(migration.status.conditions, type);
    if (condition?.status !== state || !concerns(condition.reason, migration)) return [];
    const message = `${type}=${state}/${condition.reason}: ${condition.message}`;
    return [{ verdict, message, remedy: page }];
  };
}

/** Once it is done, capture and appliers no longer matter. */
const isDone: Concerns = (_, { status }) => recordedCondition(status.conditions, 'Succeeded')?.status === 'True';

const JUDGED: readonly Judge[] = [
  judges('Accepted', 'False', 'failed', 'docs/troubleshooting.md'),
  judges('Succeeded', 'False', 'failed', 'docs/runbooks/EdgeMigrationFailed.md'),
  judges('Degraded', 'True', 'failed', 'docs/runbooks/EdgeMigrationDegraded.md'),
  judges('Capturing', 'False', 'failed', 'docs/runbooks/EdgeMigrationNotCovered.md', (reason, migration) => {
    return reason !== 'Disabled' && migration.spec?.mode !== 'Plan' && !isDone(reason, migration);
  }),
  judges(
    'Copied',
    'False',
    'failed',
    'docs/runbooks/EdgeMigrationRangesFailed.md',
    (reason) => reason === 'RangesFailed',
  ),
  judges('Verified', 'False', 'warning', 'docs/runbooks/EdgeMigrationDifferencesFound.md'),
  judges('EdgeReady', 'False', 'warning', 'docs/cutover.md'),
  judges(
    'Replaying',
    'False',
    'failed',
    'docs/runbooks/EdgeMigrationAppliersDown.md',
    (reason) => reason === 'NoApplier',
  ),
  judges('Replaying', 'Unknown', 'warning', 'docs/troubleshooting.md', (...about) => !isDone(...about)),
];

function examineGaps({ status: { gaps = [] } }: EdgeMigration): Omit<CheckResult, 'check'>[] {
  return gaps
    .filter(({ until }) => until === undefined)
    .map(({ from, reason, podName }) => ({
      verdict: 'failed',
      message: `writes to Core are being missed since ${from} (${reason}${podName === undefined ? '' : `, pod ${podName}`})`,
      remedy: 'docs/runbooks/EdgeMigrationCoverageGap.md',
    }));
}

import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { type Comparison, compareStores } from '../e2e/comparison.ts';
import type { Installation } from '../e2e/installation.ts';
import { startDynamodbProxy } from '../faults/dynamodb-proxy.ts';
import { showReplay } from './replay.ts';
import { createScreen, type Screen } from './screen.ts';
import { showIdentity } from './side-by-side.ts';
import { setStage } from './stage.ts';
import { openBrowser, seedFleet, serveConsole } from './web.ts';
import { readWorkerCpuSeconds } from './worker-cpu.ts';

export interface DemoOptions {
  identities: number;
  keep: boolean;
  /** Shows a fleet in the console instead of a single project here. */
  web: boolean;
  json: boolean;
  signal: AbortSignal;
}

const POLL_MS = 250;
const COPY_TIMEOUT_MS = 4 * 3_600_000;
const VERIFY_TIMEOUT_MS = 3_600_000;

/** The product's main task, from scratch, on real services: the content of `npm run demo`. */
export async function runDemo({ identities, keep, web, json, signal }: DemoOptions): Promise<void> {
  // With --json, standard output has the result, but people may still watch.
  const screen = createScreen(json && !process.stdout.isTTY ? process.stderr : process.stdout);
  screen.heading('Edge migration for Flagsmith: one project, from Core (Postgres) to Edge (DynamoDB)');
  await using stack = new AsyncDisposableStack();
  const { installation, seeded } = stack.use(await setStage(screen, identities, signal));
  if (web) {
    await seedFleet(installation, seeded.projectId, screen, signal);
    const { url } = stack.use(await serveConsole(installation, screen));
    await openBrowser(url, screen);
    // Awaited here: everything that was started ends when this function returns.
    await stay(installation, screen, seeded.projectId, signal);
    return;
  }
  const { databaseUrl, tables } = installation;
  screen.heading('kubectl apply');
  screen.quote(manifest(seeded.projectId));
  await installation.apply(seeded.projectId);
  const first = await watchCopy(installation, seeded.projectId, screen, signal);
  screen.line();
  screen.quote(await installation.cluster.kubectl(['get', 'em', '-A']));

  screen.heading('Is everything there?');
  const comparison = await screen.step('every document compared with what Core says', () =>
    compareStores(databaseUrl, seeded.projectId, tables),
  );
  describeComparison(screen, first, comparison, installation);
  const verified = await showVerification(screen, installation, seeded.projectId, signal);
  await showIdentity(screen, databaseUrl, seeded.projectId, tables);

  const replay = await showReplay(screen, installation, seeded, signal);

  screen.heading('Once more: delete it, apply it again');
  const proxy = stack.use(await startDynamodbProxy(installation.cluster.dynamodb.endpoint));
  await installation.useDynamodb(proxy.endpoint);
  await screen.step('the EdgeMigration is deleted', () => installation.delete(seeded.projectId));
  await installation.apply(seeded.projectId);
  const second = await watchCopy(installation, seeded.projectId, screen, signal);
  screen.line(
    `${format(second.migration.status.copy?.identitiesUnchanged ?? 0)} documents were there already; ${proxy.writes()} writes were sent.`,
  );

  const seconds = first.seconds;
  const copied = first.migration.status.copy?.identitiesCopied ?? 0;
  const result = {
    identities: comparison.identities,
    copied,
    skipped: first.migration.status.skipped?.total ?? 0,
    missing: comparison.missing.length,
    different: comparison.different.length,
    foreignWrites: comparison.foreign.length,
    verifiedEqual: verified?.identitiesEqual ?? 0,
    secondRunWrites: proxy.writes(),
    seconds: round(seconds),
    identitiesPerSecond: Math.round(comparison.identities / first.copySeconds),
    workerCpuSeconds: round(first.workerCpuSeconds),
    ...replay,
  };
  screen.line();
  if (keep) {
    stack.use(await serveConsole(installation, screen));
    await stay(installation, screen, seeded.projectId, signal);
  }
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
  const isRight = result.missing + result.different + result.foreignWrites + result.secondRunWrites === 0;
  if (!isRight) process.exitCode = 1;
}

const manifest = (projectId: number) => `apiVersion: edge.flagsmith.com/v1alpha1
kind: EdgeMigration
metadata: { name: project-${projectId} }
spec: { projectId: ${projectId} }`;

interface WatchedCopy {
  migration: EdgeMigration;
  /** From apply to `Copied`. */
  seconds: number;
  /** While pods copied. */
  copySeconds: number;
  workerCpuSeconds: number;
}

async function watchCopy(
  installation: Installation,
  projectId: number,
  screen: Screen,
  signal: AbortSignal,
): Promise<WatchedCopy> {
  const started = performance.now();
  let copying: number | undefined;
  let copied: number | undefined;
  for (;;) {
    const migration = await installation.migration(projectId);
    const { copy, message = 'waiting for the operator', phase } = migration?.status ?? {};
    const elapsed = performance.now() - started;
    if (phase === 'Copying') copying ??= elapsed;
    if (phase === 'Settling') copied ??= elapsed;
    const share = (copy?.identitiesRead ?? 0) / Math.max(1, copy?.identitiesTotal ?? 1);
    screen.progress(share, phase === undefined ? message : `${phase}: ${message}`);
    const statusOf = (type: string) => migration?.status.conditions?.find((each) => each.type === type)?.status;
    if (migration !== undefined && statusOf('Copied') === 'True') {
      screen.endProgress();
      const copySeconds = ((copied ?? elapsed) - (copying ?? 0)) / 1000;
      const workerCpuSeconds = await readWorkerCpuSeconds(installation, migration);
      return { migration, seconds: elapsed / 1000, copySeconds, workerCpuSeconds };
    }
    if (statusOf('Succeeded') === 'False' || elapsed > COPY_TIMEOUT_MS)
      throw new Error(`the migration failed: ${message}`);
    await systemClock.sleep(POLL_MS, signal);
  }
}

function describeComparison(
  screen: Screen,
  { migration, seconds, copySeconds }: WatchedCopy,
  comparison: Comparison,
  { namespace }: Installation,
) {
  const { copy, skipped } = migration.status;
  const { identities, equal, missing, different, foreign } = comparison;
  screen.line(`Core   ${format(identities)} identities`);
  screen.line(
    `Edge   ${format(equal)} documents equal, ${missing.length} missing, ${different.length} different, ${foreign.length} of other projects`,
  );
  if (skipped !== undefined && skipped.total > 0) {
    const reasons = skipped.byReason.map(({ reason, count }) => `${count} ${reason}`).join(', ');
    screen.line(`Skipped ${skipped.total}: ${reasons}`);
    screen.line(`        each with its reason: kubectl -n ${namespace} get configmap ${skipped.reportName} -o yaml`);
  }
  const rate = Math.round((copy?.identitiesRead ?? 0) / copySeconds);
  screen.line(
    `Time   ${seconds.toFixed(1)} s in all, ${copySeconds.toFixed(1)} s of copying: ${format(rate)} identities/s (DynamoDB Local is the limit)`,
  );
}

/** The result of the product's own comparison, which begins when the copy is complete. */
async function showVerification(screen: Screen, installation: Installation, projectId: number, signal: AbortSignal) {
  const { status } = await screen.step(
    'both stores compared by the product itself, document by document, both ways',
    () => installation.condition(projectId, 'Verified', 'True', { timeoutMs: VERIFY_TIMEOUT_MS, signal }),
  );
  screen.line(`Verified  ${status.conditions?.find(({ type }) => type === 'Verified')?.message ?? ''}`);
  return status.verification?.last;
}

/** Keeps everything running until Ctrl-C. */
async function stay(
  { cluster, tables }: Installation,
  screen: Screen,
  projectId: number,
  signal: AbortSignal,
): Promise<void> {
  screen.heading('Look around; Ctrl-C ends it all');
  screen.quote(
    [
      `export KUBECONFIG=${cluster.kubeconfig}`,
      'kubectl get em -A -o wide',
      `kubectl -n edge-migration describe em project-${projectId}`,
      'kubectl -n edge-migration get jobs,pods,configmaps',
      'kubectl -n edge-migration logs deployment/edge-migration-operator',
      '',
      'export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=eu-west-2',
      `aws dynamodb scan --endpoint-url ${cluster.dynamodb.endpoint} --table-name ${tables.settings.identitiesTable} --max-items 1`,
    ].join('\n'),
  );
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

const format = (value: number) => value.toLocaleString('en-US');
const round = (value: number) => Math.round(value * 100) / 100;

import { OPERATOR_FIELD_MANAGER } from '@edge-migration/contract/edge-migration/api.ts';
import { applyOver } from '@edge-migration/kubernetes/apply-over.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { INSTALLATION_POLL_MS, INSTALLATION_REPORT_MS, STORES_CHECK_MS } from '@edge-migration/runtime/policies.ts';
import type { Check, CheckOutcome } from '../check/check.ts';
import { runChecks } from '../check/checks.ts';
import type { StreamView } from '../edge-migration/stream.ts';
import manifest from '../package.json' with { type: 'json' };
import { buildInstallationReport } from './build.ts';
import { INSTALLATION_REPORT, type InstallationReport, REPORT_KEY } from './report.ts';

export interface InstallationReporterSettings {
  /** Writes only while this replica leads. */
  readonly client: Pick<KubernetesClient, 'get' | 'create' | 'apply'>;
  readonly namespace: string;
  readonly instance: string;
  /** Checks of the stores; each opens and closes its own connections. */
  readonly checks: readonly Check[];
  readonly stream: Pick<StreamView, 'capture' | 'instances' | 'clocks'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const CHECK_TIMEOUT_MS = 15_000;

/**
 * Publishes the state of the installation for `kubectl edge-migration doctor`: changes within seconds, and everything
 * every minute; until the signal is aborted. Never rejects.
 */
export async function reportInstallation(settings: InstallationReporterSettings, signal: AbortSignal): Promise<void> {
  const { clock, logger } = settings;
  let looked: { outcomes: CheckOutcome[]; time: number; due: number } | undefined;
  let pauseMs = INSTALLATION_REPORT_MS;
  let problem: string | undefined;
  let written: { facts: string; due: number } | undefined;

  async function checkStores() {
    if (looked !== undefined && clock.monotonic() < looked.due) return looked;
    const outcomes = await runChecks(settings.checks, CHECK_TIMEOUT_MS, signal);
    pauseMs = choosePause(outcomes, looked?.outcomes ?? [], pauseMs);
    looked = { outcomes, time: clock.now(), due: clock.monotonic() + pauseMs };
    return looked;
  }

  while (!signal.aborted) {
    try {
      const { outcomes, time: checkedTime } = await checkStores();
      const report = build(settings, outcomes, checkedTime);
      const facts = JSON.stringify({ ...report, time: undefined });
      if (written === undefined || facts !== written.facts || clock.monotonic() >= written.due) {
        await write(settings, report, signal);
        written = { facts, due: clock.monotonic() + INSTALLATION_REPORT_MS };
      }
      problem = undefined;
    } catch (error) {
      if (signal.aborted) return;
      const message = errorMessage(error);
      if (message !== problem) logger.warn({ error: message }, `${INSTALLATION_REPORT} cannot be written`);
      problem = message;
    }
    await clock.sleep(INSTALLATION_POLL_MS, signal).catch(() => {});
  }
}

/** A failed check is repeated every minute; a lasting warning, half as often each time. */
function choosePause(outcomes: readonly CheckOutcome[], before: readonly CheckOutcome[], last: number): number {
  if (outcomes.every(({ verdict }) => verdict === 'ok')) return STORES_CHECK_MS;
  const isLasting = outcomes.every(
    ({ name, verdict }) => verdict !== 'failed' && before.some((one) => one.name === name && one.verdict === verdict),
  );
  return isLasting ? Math.min(2 * last, STORES_CHECK_MS) : INSTALLATION_REPORT_MS;
}

function build(
  { instance, stream, clock }: InstallationReporterSettings,
  outcomes: readonly CheckOutcome[],
  checkedTime: number,
): InstallationReport {
  return buildInstallationReport({
    now: clock.now(),
    checkedTime,
    release: manifest.version,
    instance,
    outcomes,
    capture: stream.capture(),
    instances: stream.instances(),
    clocks: stream.clocks(),
  });
}

async function write(
  { client, namespace }: InstallationReporterSettings,
  report: InstallationReport,
  signal: AbortSignal,
): Promise<void> {
  const metadata = { namespace, name: INSTALLATION_REPORT };
  const before = await client.get(CONFIG_MAPS, metadata, { signal });
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [REPORT_KEY]: JSON.stringify(report) } };
  const options = { fieldManager: OPERATOR_FIELD_MANAGER, signal };
  await applyOver(client, CONFIG_MAPS, object, before?.metadata.resourceVersion, options);
}

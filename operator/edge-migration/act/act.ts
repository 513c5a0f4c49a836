import type { Action } from '../actions.ts';
import { writeAudit } from './audit.ts';
import type { ActionContext, ActionTarget } from './context.ts';
import { adjustJob, createJob } from './jobs.ts';
import { writeLiveSettings } from './live-settings.ts';
import { writeRangePlan } from './plan-ranges.ts';
import { writeRecord } from './record.ts';
import { removeJob } from './remove-job.ts';
import { retireWork } from './retire-work.ts';
import { writeSkippedReport } from './skipped-report.ts';
import { writeUnstorableReport } from './unstorable-report.ts';
import { writeUsageSeries } from './usage-series.ts';
import { writeVerificationReport } from './verification-report.ts';

/** Carries out one action; each is one file in this folder. Throws the errors of Kubernetes and of the stores. */
export async function act(
  context: ActionContext,
  target: Omit<ActionTarget, 'operation'>,
  action: Action,
): Promise<unknown> {
  const { migration, signal } = target;
  const projectId = migration.spec?.projectId ?? 0;
  switch (action.kind) {
    case 'planRanges':
      return writeRangePlan(context, { ...target, operation: action.operation });
    case 'writeLiveSettings':
    case 'writeVerifySettings':
      return writeLiveSettings(context, { ...target, operation: action.operation }, action.settings);
    case 'createJob':
      return createJob(context, { ...target, operation: action.operation }, action);
    case 'adjustJob':
      return adjustJob(context, { ...target, operation: action.operation }, action);
    case 'removeJob':
      return removeJob(context, { ...target, operation: action.operation }, action);
    case 'markStarted':
      return context.projectMetadata?.markStarted(projectId, { signal });
    case 'markCompleted':
      return context.projectMetadata?.markCompleted(projectId, { signal });
    case 'startHandover':
      return context.handover?.start(context.client, target, action.stage);
    case 'writeVerificationReport':
      return writeVerificationReport(context, { ...target, operation: action.operation }, action.comparison);
    case 'writeAudit':
      return writeAudit(context, target, action.status);
    case 'writeRecord':
      return writeRecord(context, target, action.record);
    case 'writeUsageSeries':
      return writeUsageSeries(context, target, action.days, action.most);
    case 'writeUnstorableReport':
      return writeUnstorableReport(context, target, action.identities);
    case 'writeSkippedReport':
      return writeSkippedReport(context, { ...target, operation: action.operation });
    case 'retireWork':
      return retireWork(context, { ...target, operation: action.operation });
  }
}

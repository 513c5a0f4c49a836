import type { StoredReport } from '../coverage/decide.ts';
import { toStoreTime } from '../coverage/store-time.ts';
import type { Appliers } from './appliers.ts';
import { type ClockFact, createClocks } from './clock-skew.ts';

export interface ReportClocksOptions {
  /** The appliers' reports as last read. */
  readonly appliers: Pick<Appliers, 'listAlive'>;
  /** How long a process counts as alive after its report. */
  readonly freshMs: number;
  /** How far this process's own clock is ahead of that of the streams. */
  readonly ownAhead: () => number;
}

/** What reports show of their authors' clocks. */
export class ReportClocks {
  private readonly options: ReportClocksOptions;
  private readonly clocks = createClocks();

  constructor(options: ReportClocksOptions) {
    this.options = options;
  }

  /**
   * @param now by the stream's clock
   * @returns the reports with their times by the stream's clock, and the clocks of those that are alive
   */
  follow(reports: readonly StoredReport[], now: number): { sidecars: StoredReport[]; clocks: ClockFact[] } {
    const { appliers, freshMs, ownAhead } = this.options;
    const known: ClockFact[] = [{ process: 'the operator', ahead: ownAhead() }];
    const authors = new Set<string>();
    const notice = (author: string, sequence: number, ahead: number, living?: string) => {
      authors.add(author);
      const estimate = this.clocks.notice(author, sequence, ahead);
      if (living !== undefined && estimate.isSure) known.push({ process: living, ahead: estimate.ahead });
      return estimate.ahead;
    };
    const sidecars = reports.map((stored) => {
      const { report, sequence, storedTime } = stored;
      const isAlive = !report.goodbye && now - storedTime <= freshMs;
      const author = `sidecar ${report.podUid} ${report.spoolId}`;
      const living = isAlive ? `the sidecar of pod ${report.podName}` : undefined;
      const ahead = notice(author, sequence, Date.parse(report.time) - storedTime, living);
      return { ...stored, report: toStoreTime(report, ahead) };
    });
    for (const { process, instance, sequence, ahead } of appliers.listAlive(now - freshMs))
      notice(`applier ${process}`, sequence, ahead, `applier ${instance}`);
    this.clocks.keep(authors);
    return { sidecars, clocks: known };
  }
}

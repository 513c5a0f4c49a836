import type { LastComparison } from '@edge-migration/contract/edge-migration/api.ts';

const TRIGGERS: Record<LastComparison['trigger'], string> = {
  AfterCopy: 'after the copy',
  AtDeadline: 'at the deadline of replay',
  Requested: 'as requested by spec.retry',
  CoverageGap: 'after writes may have been missed',
};

const FINDINGS = {
  missing: 'identities of Core without a document in Edge',
  extra: 'documents that came from Core, which has no such identity',
  differing: 'documents that say something else than Core',
  malformed: "documents that Flagsmith's readers refuse or cannot find",
  rows: 'identities whose rows for local evaluation are out of step',
  regions: 'documents or rows that are not the same in all regions compared',
} as const;

/** A comparison in human-readable form: counts only, no personal data. */
export function writeReportText(report: LastComparison & { project: number | undefined; generation: number }): string {
  const { findings = {}, authority, coreChecksum, edgeChecksum } = report;
  const found = Object.entries(FINDINGS).flatMap(([kind, text]) => {
    const count = findings[kind as keyof typeof FINDINGS];
    return count === undefined ? [] : [row(count, text)];
  });
  const lines = [
    `Comparison ${report.run} of project ${report.project}, ${TRIGGERS[report.trigger]} (${report.mode})`,
    `from ${report.startTime} to ${report.completionTime}, EdgeMigration generation ${report.generation}`,
    '',
    'Identities of Core',
    row(report.identitiesEqual, 'equal in Edge'),
    row(report.identitiesDiffering, 'differing'),
    row(report.identitiesMissing, 'missing in Edge'),
    row(report.identitiesSkipped, 'that Edge cannot hold'),
    row(report.identitiesUnsettled, 'written during every comparison'),
    row(report.identitiesTotal, 'in all'),
    '',
    'Documents of Edge',
    row(report.documentsMatched, "of Core's identities"),
    row(report.documentsExtra, 'that came from Core, which has no such identity'),
    row(report.documentsEdgeBorn, 'created on Edge'),
    row(report.documentsTotal, 'in all'),
    '',
    found.length === 0 ? 'Nothing is left that differs.' : 'Left to look at',
    ...found,
    ...(report.repaired ? [row(report.repaired, 'repaired and compared again')] : []),
    ...(authority === 'Edge' && found.length > 0
      ? ['Edge is the authority by now: what differs is for information, what is missing or extra is not.']
      : []),
    '',
    `Checksum of Core  ${coreChecksum}`,
    `Checksum of Edge  ${edgeChecksum}${coreChecksum === edgeChecksum ? '  (the same)' : ''}`,
  ];
  return `${lines.join('\n')}\n`;
}

const WIDTH = 12;

const row = (count: number | undefined, text: string) =>
  `${(count ?? 0).toLocaleString('en-GB').padStart(WIDTH)}  ${text}`;

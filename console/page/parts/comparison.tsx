import type { Detail } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { formatCount } from '../view/format.ts';
import { listFindings } from '../view/state.ts';
import { Card, LabeledValues, Note, Ranking, Timestamp } from './ui.tsx';

const { comparison: TEXTS } = TEXT;

/** The result of the last comparison of both stores, and whether one is running. */
export function ComparisonCard({ detail }: { detail: Detail }) {
  const { current, last } = detail.status.verification ?? {};
  const findings = listFindings(detail.status);
  const found = findings.reduce((sum, { count }) => sum + count, 0);
  const isVerified = detail.status.conditions?.some(({ type, status }) => type === 'Verified' && status === 'True');
  return (
    <Card title={TEXTS.title} aside={found > 0 && <span class="figure bad">{formatCount(found)}</span>}>
      {current && <Note tone="calm">{TEXTS.running(current.progress ?? '')}</Note>}
      {last === undefined && current === undefined && <p class="quiet-text">{TEXTS.never}</p>}
      {last && found === 0 && (
        <Note tone={isVerified ? 'good' : 'calm'}>{isVerified ? TEXTS.equal : TEXTS.wasEqual}</Note>
      )}
      {last && found > 0 && (
        <Ranking
          tone="bad"
          rows={findings.map(({ kind, count }) => ({
            ...{ name: TEXTS.kinds[kind] ?? kind, hint: kind, count, text: formatCount(count) },
          }))}
        />
      )}
      {last && (
        <LabeledValues
          facts={[
            [TEXTS.same, TEXTS.of(formatCount(last.identitiesEqual ?? 0), formatCount(last.identitiesTotal))],
            [TEXTS.repaired, last.repaired ? formatCount(last.repaired) : undefined],
            [TEXTS.checksums, last.coreChecksum === last.edgeChecksum ? TEXTS.agree : TEXTS.differ],
            [TEXTS.when, <Timestamp key="when" time={last.completionTime} />],
          ]}
        />
      )}
    </Card>
  );
}

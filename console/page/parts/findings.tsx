import type { Detail } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { formatCount } from '../view/format.ts';
import { Card, Ranking, Timestamp } from './ui.tsx';

interface Of {
  readonly detail: Detail;
}

/** The display name of one of the operator's identifiers; an unknown one is shown unchanged. */
const nameOf = (names: Readonly<Record<string, string>>, name: string) => names[name] ?? name;

/** Whether no more can be added: until then "none" means none so far. */
const isFinal = ({ outcome, mode }: Detail) => outcome === 'succeeded' && mode === 'Migrate';

/** Identities that cannot be stored in Edge, by reason. */
export function Skipped({ detail }: Of) {
  const { skipped: texts } = TEXT;
  const { skipped, unstorable } = detail.status;
  const isPlan = detail.mode === 'Plan';
  const rank = ({ reason, count }: { reason: string; count: number }) => ({
    ...{ name: nameOf(texts.reasons, reason), hint: reason, count, text: formatCount(count) },
  });
  const total = skipped?.total ?? 0;
  const later = unstorable?.total ?? 0;
  if (isPlan && total === 0) return null;
  return (
    <Card title={texts.title} aside={total > 0 && <span class="figure warn">{formatCount(total)}</span>}>
      {total + later === 0 ? (
        <p class="quiet-text">{isFinal(detail) ? texts.none : texts.noneYet}</p>
      ) : (
        <p class="quiet-text">{texts.intro}</p>
      )}
      {total > 0 && <Ranking tone="warn" rows={skipped!.byReason.map(rank)} />}
      {later > 0 && (
        <>
          <h3>{texts.unstorable}</h3>
          <Ranking tone="warn" rows={unstorable!.byReason.map(rank)} />
        </>
      )}
    </Card>
  );
}

/** Times in which writes may have been missed. */
export function Gaps({ detail }: Of) {
  const { gaps: texts } = TEXT;
  const { gaps = [] } = detail.status;
  if (gaps.length === 0)
    return (
      <Card title={texts.title}>
        <p class="quiet-text">{isFinal(detail) ? texts.none : texts.noneYet}</p>
      </Card>
    );
  return (
    <Card title={texts.title} aside={<span class="figure bad">{formatCount(gaps.length)}</span>}>
      <p class="quiet-text">{texts.intro}</p>
      <ul class="gaps">
        {gaps.map(({ from, until, reason, podName }) => (
          <li key={`${from} ${reason} ${podName}`}>
            <span class="gap-reason" title={reason}>
              {nameOf(texts.reasons, reason)}
            </span>
            <span class="under">
              <Timestamp time={from} /> – {until === undefined ? texts.lasts : <Timestamp time={until} />}
              {podName !== undefined && ` · ${texts.pod} ${podName}`}
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** All conditions of the operator, for users who want every detail. */
export function Conditions({ detail }: Of) {
  const { project: texts } = TEXT;
  const { conditions = [] } = detail.status;
  if (conditions.length === 0) return null;
  return (
    <details class="card conditions">
      <summary>{texts.details}</summary>
      <ul>
        {conditions.map(({ type, status, reason, message, lastTransitionTime }) => (
          <li key={type}>
            <span class="condition-type">{type}</span>
            <span class="tag" data-status={status}>
              {texts.conditionStatus[status]} · {reason}
            </span>
            <span class="under">
              <Timestamp time={lastTransitionTime} />
            </span>
            {message !== '' && <p>{message}</p>}
          </li>
        ))}
      </ul>
    </details>
  );
}

import type { ListQuery, Ordering, ProjectSummary } from './schemas.ts';

export interface ListedProjects {
  readonly count: number;
  readonly phases: Record<string, number>;
  readonly results: ProjectSummary[];
}

/** Filters, sorts and returns one page. Every word of the search must be in one of the project's texts. */
export function listPage(summaries: readonly ProjectSummary[], query: ListQuery): ListedProjects {
  const { page, page_size: size, phase } = query;
  const found = summaries.filter((summary) => matches(summary, query));
  const phases: Record<string, number> = Object.create(null);
  for (const each of found) phases[each.phase] = (phases[each.phase] ?? 0) + 1;
  const shown = phase === undefined ? found : found.filter((summary) => phase.includes(summary.phase));
  const results = shown.toSorted(comparing(query.ordering)).slice((page - 1) * size, page * size);
  return { count: shown.length, phases: { ...phases }, results };
}

function matches(summary: ProjectSummary, { search, outcome, namespace }: ListQuery): boolean {
  if (namespace !== undefined && summary.namespace !== namespace) return false;
  if (outcome !== undefined && (summary.outcome ?? 'none') !== outcome) return false;
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const texts = [summary.project_id, summary.namespace, summary.name, summary.project_name, summary.phase];
  const text = [...texts, summary.message].join('\n').toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Unknown values come last in either direction; equal ones are sorted by project and namespace. */
function comparing(ordering: ListQuery['ordering']): (a: ProjectSummary, b: ProjectSummary) => number {
  const descends = ordering.startsWith('-');
  const field = (descends ? ordering.slice(1) : ordering) as Ordering;
  return (a, b) => {
    const [left, right] = [a[field], b[field]];
    if (left !== right) {
      if (left === null) return 1;
      if (right === null) return -1;
      return (left < right ? -1 : 1) * (descends ? -1 : 1);
    }
    return a.project_id - b.project_id || (a.namespace < b.namespace ? -1 : 1);
  };
}

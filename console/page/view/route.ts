/** The current view, encoded in the address after `#`: it can be bookmarked and shared. */
export type ViewRoute =
  | { readonly kind: 'projects'; readonly query: ProjectsQuery }
  | { readonly kind: 'project'; readonly projectId: number; readonly namespace: string | undefined };

export interface ProjectsQuery {
  readonly search: string;
  /** One phase, or empty for all. */
  readonly phase: string;
  readonly page: number;
  readonly pageSize: number;
  /** A field of the API, with a `-` prefix for descending order. */
  readonly ordering: string;
}

export const PAGE_SIZES = [25, 50, 100, 200] as const;
export const FIRST_QUERY: ProjectsQuery = { search: '', phase: '', page: 1, pageSize: 50, ordering: 'project_id' };

const MOST_PROJECT_ID = 2_147_483_647;

/** A project's id as typed by a user; undefined if it is invalid. */
export function parseProjectId(text: string): number | undefined {
  const id = /^#?(\d{1,10})$/.exec(text.trim())?.[1];
  return id !== undefined && Number(id) >= 1 && Number(id) <= MOST_PROJECT_ID ? Number(id) : undefined;
}

/** Invalid parts of an address are ignored: a broken bookmark shows the list. */
export function parseRoute(hash: string): ViewRoute {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2);
  const params = new URLSearchParams(query);
  const projectId = parseProjectId(/^\/projects\/(\d+)\/?$/.exec(path)?.[1] ?? '');
  if (projectId !== undefined) return { kind: 'project', projectId, namespace: params.get('namespace') ?? undefined };
  const ordering = params.get('ordering') ?? '';
  const pageSize = Number(params.get('page_size'));
  return {
    kind: 'projects',
    query: {
      search: params.get('search') ?? '',
      phase: params.get('phase') ?? '',
      page: Math.max(1, Math.trunc(Number(params.get('page')) || 1)),
      pageSize: PAGE_SIZES.find((size) => size === pageSize) ?? FIRST_QUERY.pageSize,
      ordering: /^-?[a-z_]+$/.test(ordering) ? ordering : FIRST_QUERY.ordering,
    },
  };
}

/** The address of a route, without defaults. */
export function formatRoute(route: ViewRoute): string {
  if (route.kind === 'project') {
    const query = route.namespace === undefined ? '' : `?${new URLSearchParams({ namespace: route.namespace })}`;
    return `#/projects/${route.projectId}${query}`;
  }
  const params = listParams(route.query).filter(([, value, first]) => value !== first);
  return params.length === 0 ? '#/' : `#/?${new URLSearchParams(params.map(([name, value]) => [name, value]))}`;
}

/** The query in the API's form. */
export function formatProjectsQuery(query: ProjectsQuery): string {
  const params = listParams(query).filter(([, value]) => value !== '');
  return new URLSearchParams(params.map(([name, value]) => [name, value])).toString();
}

const listParams = (query: ProjectsQuery): [name: string, value: string, first: string][] => [
  ['search', query.search, FIRST_QUERY.search],
  ['phase', query.phase, FIRST_QUERY.phase],
  ['page', String(query.page), String(FIRST_QUERY.page)],
  ['page_size', String(query.pageSize), String(FIRST_QUERY.pageSize)],
  ['ordering', query.ordering, FIRST_QUERY.ordering],
];

/** The ordering after a click on a column: first the more useful direction, then the other one, then none. */
export function turnOrdering(ordering: string, column: string, largestFirst: boolean): string {
  const [first, second] = largestFirst ? [`-${column}`, column] : [column, `-${column}`];
  if (ordering === first) return second;
  return ordering === second ? FIRST_QUERY.ordering : first;
}

import type { MatchedRequest, Method, Route } from '../route.ts';

/** A route as a table lists it: {@link toRoute} fills in omitted fields. */
export type RouteRow = Pick<Route, 'name' | 'path' | 'effects'> & { methods: Method | readonly Method[] } & Partial<
    Omit<Route, 'methods'>
  >;

/** Fills in what most routes share: the body and the answer do not matter, and Core is done when it answers. */
export function toRoute(row: RouteRow): Route {
  return {
    end: row.path.endsWith('/') ? 'format' : 'exact',
    environment: row.path.includes('<environment>') ? 'path' : 'none',
    body: 'none',
    readsAnswer: false,
    unchanged: [],
    changed: [],
    outcome: 'known',
    rateLimited: false,
    reaches: 'scope',
    lookup: undefined,
    concerns: () => true,
    ...row,
    methods: typeof row.methods === 'string' ? [row.methods] : row.methods,
  };
}

export const READ = ['GET', 'HEAD'] as const;
export const UPDATE = ['PUT', 'PATCH'] as const;

/** The request's own path, which also answers `GET`. */
export const itself = (path: string) => (request: MatchedRequest) =>
  path.replace(/<(\w+)>/g, (_, name: string) => encodeURIComponent(request.parameter(name)));

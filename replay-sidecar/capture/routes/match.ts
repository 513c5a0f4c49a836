import { splitTarget } from './http/target.ts';
import type { Method, Route } from './route.ts';
import { DJANGO_ADMIN, ROUTES } from './table.ts';

const API = '/api/v1/';
const ADMIN = '/admin/';

/**
 * Characters of a path parameter; any other parameter takes everything but slashes and dots. Python's `\w` is any
 * letter or number of Unicode and the underscore.
 */
const PARAMETERS: Record<string, string> = {
  identifier: '[-\\p{L}\\p{N}_@%.]+',
  traitKey: '[-\\p{L}\\p{N}_.]+',
  environmentId: '[0-9]+',
  application: '(?:environments|identities|traits|features|multivariate|projects|organisations)',
};

const ENDS: Record<Route['end'], string> = {
  exact: '$',
  // `traits/.json` has both the slash and the suffix, `environments/<key>.json` only the suffix.
  format: '(?:/|/?\\.[a-z0-9]+/?)$',
  prefix: '',
};

interface CompiledRoute {
  route: Route;
  pattern: RegExp;
}

function compile(route: Route): CompiledRoute {
  const path = route.end === 'format' ? route.path.slice(0, -1) : route.path;
  const source = path.replace(/<(\w+)>/g, (_, name: string) => `(?<${name}>${PARAMETERS[name] ?? '[^/.]+'})`);
  return { route, pattern: new RegExp(`^${source}${ENDS[route.end]}`, 'u') };
}

/** Routes by the first segment of their path: most requests match none, and are done after one look-up. */
const SEGMENTS = new Map<string, CompiledRoute[]>();
for (const compiled of ROUTES.map(compile)) {
  const segment = compiled.route.path.slice(0, compiled.route.path.indexOf('/'));
  SEGMENTS.set(segment, [...(SEGMENTS.get(segment) ?? []), compiled]);
}
const READABLE = new Set([...SEGMENTS].filter(([, routes]) => routes.some(acceptsGet)).map(([segment]) => segment));
const ADMIN_FORMS = compile(DJANGO_ADMIN);

function acceptsGet({ route }: CompiledRoute): boolean {
  return route.methods.includes('GET');
}

/** Writes below these concern identities, or sound like it, under any name that a later release may use. */
const OF_IDENTITIES =
  /^(?:identities|traits|flags)\/|^features\/featurestates|^environments\/[^/]+\/(?!edge-)[^/]*(?:identit|trait|featurestate|cohort)/;
/** Paths that SDKs call. Elsewhere the header can be anything the caller likes. */
const KEYED = /^(?:identities|traits|flags)\//;
const WRITES = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

export type Match =
  | { kind: 'route'; route: Route; parameters: Record<string, string>; query: string }
  /**
   * Looks like an identity write but matches no route of the table; `shape` contains no names. `environmentKey`: from
   * its path, if it has one. `isKeyed`: Core knows the caller by `X-Environment-Key` there.
   */
  | { kind: 'unknown'; shape: string; environmentKey: string | undefined; isKeyed: boolean };

/**
 * Finds the route of a request. Undefined for everything that cannot change identities, which is decided from the first
 * segment for nearly every request.
 *
 * @param target the request target as sent, latin1
 */
export function matchRoute(method: string, target: string): Match | undefined {
  const verb = method.toUpperCase();
  const read = verb === 'GET' || verb === 'HEAD';
  if (target.startsWith(API)) {
    const segment = firstSegment(target, API.length);
    if (!segment.includes('%')) return read && !READABLE.has(segment) ? undefined : matchIn(segment, verb, target);
  } else if (!isDisguised(target)) {
    if (target.startsWith(ADMIN) && verb === 'POST') return matchAdmin(target);
    return target.includes(API) ? matchBelow(verb, splitTarget(target).path) : undefined;
  }
  const { path } = splitTarget(target);
  if (path.startsWith(API.slice(1))) return matchIn(firstSegment(path, API.length - 1), verb, target);
  if (verb === 'POST' && path.startsWith(ADMIN.slice(1))) return matchAdmin(target);
  return matchBelow(verb, path);
}

/** Core serves no API below another path, unless configured to, or if it believes a client that says so. */
function matchBelow(verb: string, path: string): Match | undefined {
  for (const start of new Set([path.indexOf(API), path.lastIndexOf(API)])) {
    const below = start === -1 ? '' : path.slice(start + API.length);
    const isOurs = SEGMENTS.get(firstSegment(below, 0))?.some(
      ({ route, pattern }) => route.methods.includes(verb as Method) && pattern.test(below),
    );
    if (isOurs || isNearIdentities(verb, below)) return unknown(verb, below, '*/api/v1/');
  }
  return undefined;
}

/** The segment that starts here; query and fragment end it, too. */
function firstSegment(path: string, start: number): string {
  const length = path.slice(start).search(/[/?#]/);
  return length === -1 ? path.slice(start) : path.slice(start, start + length);
}

/** Percent-escapes in the first segments or an absolute form: the path must be decoded before it is compared. */
function isDisguised(target: string): boolean {
  if (!target.startsWith('/')) return true;
  const percent = target.indexOf('%');
  const question = target.indexOf('?');
  return percent !== -1 && (question === -1 || percent < question);
}

function matchIn(segment: string, verb: string, target: string): Match | undefined {
  const { path, query } = splitTarget(target);
  const below = path.slice(API.length - 1);
  for (const { route, pattern } of SEGMENTS.get(segment) ?? []) {
    if (!route.methods.includes(verb as Method)) continue;
    const match = pattern.exec(below);
    if (match !== null) return { kind: 'route', route, parameters: match.groups ?? {}, query };
  }
  return isNearIdentities(verb, below) ? unknown(verb, below, '') : matchBelow(verb, path);
}

function isNearIdentities(verb: string, below: string): boolean {
  return WRITES.has(verb) && OF_IDENTITIES.test(below);
}

function unknown(verb: string, below: string, prefix: string): Match {
  const environmentKey = /^environments\/([^/]+)\//.exec(below)?.[1];
  return { kind: 'unknown', shape: `${verb} ${prefix}${shapeOf(below)}`, environmentKey, isKeyed: KEYED.test(below) };
}

/** Forms of objects that lead to projects by their id; an identity's may have moved it to another environment. */
const ADMIN_OBJECT =
  /^admin\/(?:\w+\/project\/(?<project>\d+)|\w+\/environment\/(?<environmentId>\d+)|\w+\/organisation\/(?<organisation>\d+)|\w+\/feature\/(?<feature>\d+))\/(?:change|delete)\//;

function matchAdmin(target: string): Match | undefined {
  const { path, query } = splitTarget(target);
  if (!ADMIN_FORMS.pattern.test(path)) return undefined;
  const parameters = Object.entries(ADMIN_OBJECT.exec(path)?.groups ?? {}).filter(([, id]) => id !== undefined);
  return { kind: 'route', route: DJANGO_ADMIN, parameters: Object.fromEntries(parameters), query };
}

/** The path with everything replaced that may be a key, an id or an identifier. */
function shapeOf(path: string): string {
  const [first = '', ...rest] = path.split('/', MOST_SHOWN);
  const hidden = HIDDEN_SEGMENTS[first] ?? [];
  const shown = rest.map((segment, index) => {
    const plain = /^[a-z][a-z-]{0,39}$/.test(segment);
    return segment === '' || (plain && !hidden.includes(index)) ? segment : '*';
  });
  return [first, ...shown].join('/').slice(0, 200);
}

/** How many segments of a path are shown: it may be one slash after the other. */
const MOST_SHOWN = 32;

/** Which segments behind the first are names that a client chose. */
const HIDDEN_SEGMENTS: Record<string, readonly number[]> = { identities: [0, 2], flags: [0], environments: [0] };

import { scopeName, type WriteScope } from '@edge-migration/contract/write-scope.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { StoredReport } from '../coverage/decide.ts';

/** The projects of each scope, by its name; scopes that Core does not know are left out. */
export type ReadProjects = (scopes: readonly WriteScope[], signal: AbortSignal) => Promise<Map<string, Set<number>>>;

/** Which projects the gaps in the sidecars' reports concern. */
export interface GapProjects {
  /**
   * Asks Core about unknown names in these reports.
   *
   * @throws Core's errors when it cannot be asked: then it is not known whom the gaps concern
   */
  follow(reports: readonly StoredReport[], signal: AbortSignal): Promise<void>;
  /** Unknown names may mean any project. With `undefined`: whether anything is meant at all. */
  mayConcern(scope: WriteScope, projectId: number | undefined): boolean;
}

/** A name's meaning may change, or be found, while reports repeat it. */
const ASK_AGAIN_MS = 30_000;
/** An earlier read of the reports, which still counts, may have names that the next one lacks. */
const FORGET_MS = 600_000;

/** Beyond it any project may be meant: invented reports must not make us ask Core for more, or remember more. */
export const MOST_NAMES = 20_000;

interface Known {
  /** Undefined: Core does not know the name. */
  projects: Set<number> | undefined;
  askedTime: number;
  namedTime: number;
}

/**
 * A key that is renamed, or given to another environment, while a gap names it leads to both projects: all answers
 * since the name was first reported count, so that a gap never claims less than it did.
 */
export function createGapProjects(readProjects: ReadProjects, clock: Clock): GapProjects {
  const known = new Map<string, Known>();

  return {
    async follow(reports, signal) {
      const now = clock.monotonic();
      const named = namedBy(reports);
      for (const [name, entry] of known) {
        if (named.has(name)) entry.namedTime = now;
        else if (entry.namedTime + FORGET_MS < now) known.delete(name);
      }
      const isDue = (name: string) => (known.get(name)?.askedTime ?? -Infinity) + ASK_AGAIN_MS <= now;
      let room = MOST_NAMES - known.size;
      const mayAsk = (name: string) => isDue(name) && (known.has(name) || room-- > 0);
      const due = [...named].flatMap(([name, scope]) => (mayAsk(name) ? [scope] : []));
      if (due.length === 0) return;
      const found = await readProjects(due, signal);
      for (const name of due.map(scopeName)) {
        const ever = [...(known.get(name)?.projects ?? []), ...(found.get(name) ?? [])];
        const isKnown = found.has(name) || known.get(name)?.projects !== undefined;
        known.set(name, { projects: isKnown ? new Set(ever) : undefined, askedTime: now, namedTime: now });
      }
    },
    mayConcern(scope, projectId) {
      const projects = known.get(scopeName(scope))?.projects;
      return projectId === undefined || projects === undefined || projects.has(projectId);
    },
  };
}

function namedBy(reports: readonly StoredReport[]): Map<string, WriteScope> {
  const named = new Map<string, WriteScope>();
  for (const { report } of reports) {
    for (const scope of report.gaps.flatMap((gap) => gap.scope ?? [])) {
      if (named.size === MOST_NAMES) return named;
      named.set(scopeName(scope), scope);
    }
  }
  return named;
}

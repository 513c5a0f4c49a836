import type { Core } from '@edge-migration/identity/core/core.ts';
import type { EdgeEnvironment } from '@edge-migration/identity/core/edge-project.ts';
import { CoreError } from '@edge-migration/identity/core/errors.ts';
import type { ServingTables } from '@edge-migration/identity/edge/serving-tables.ts';
import { EdgeError } from '@edge-migration/identity/edge/table/table.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { isComplete, type PlaceFact, type ReadinessFact } from './facts.ts';

/** Checks now and then whether Edge can serve a project. */
export interface ReadinessView {
  /** The last check, or a new one when that is old. Throws nothing but the signal's reason. */
  read(projectId: number, signal: AbortSignal): Promise<ReadinessFact>;
  /** Makes the next check a new one, because something has happened; each `event` counts once. */
  expire(projectId: number, event: string): void;
  /** The project's EdgeMigration is gone. */
  forget(projectId: number): void;
  readonly size: number;
}

export interface ReadinessOptions {
  core: Core;
  tables: ServingTables;
  /** The clock of decisions; it may be set back or forward by minutes. */
  clock: Clock;
  /** The interval between checks for what is missing. */
  againMs: number;
}

interface Seen {
  fact: ReadinessFact;
  /** Monotonic milliseconds. */
  until: number;
}

/** What exists usually stays: it is checked this much less often than what is missing. */
const COMPLETE_FACTOR = 30;
/** The share of the time for other migrations' decisions that waiting for a silent store may take: a tenth. */
const TROUBLE_FACTOR = 10;

/** Remembers each project's check, because decisions are made much more often than this changes. */
export function createReadinessView({ core, tables, clock, againMs }: ReadinessOptions): ReadinessView {
  const seen = new Map<number, Seen>();
  const events = new Map<number, string>();
  /** The last problem, for as long as no other project's check shall meet it. */
  let trouble: Seen | undefined;

  /** By the present clock: a time given before the clock was set forward would have passed, and be due at once. */
  const withNextTime = ({ fact, until }: Seen): ReadinessFact =>
    fact.kind === 'unread' ? fact : { ...fact, nextTime: clock.now() + Math.ceil(until - clock.monotonic()) };

  async function read(projectId: number, signal: AbortSignal): Promise<ReadinessFact> {
    try {
      const project = await core.projects.forEdge(projectId, signal);
      if (project === undefined) return { kind: 'unread' };
      const { enabled, keepsEnvironmentsV2, countsOverrides, environments } = project;
      const options = { signal };
      const [documents, serverKeys, metaRows] = await Promise.all([
        tables.findUndocumented(environments, options),
        tables.findUnknownKeys(environments, options),
        tables.findWithoutMeta(environments, options),
      ]);
      const { environmentsTable, environmentsApiKeyTable, environmentsV2Table } = tables.names;
      return {
        kind: 'observed',
        enabled,
        overridesCounted: environmentsV2Table === undefined ? undefined : countsOverrides,
        keepsMeta: environmentsV2Table === undefined ? undefined : keepsEnvironmentsV2,
        environments: environments.length,
        serverKeys: environments.reduce((sum, { serverKeys: keys }) => sum + keys.length, 0),
        missing: {
          documents: documents.map(nameEnvironment),
          serverKeys: serverKeys.map(({ environment, serverKey }) => ({
            ...nameEnvironment(environment),
            keyId: serverKey.id,
          })),
          metaRows: metaRows.map(nameEnvironment),
        },
        tables: {
          ...(environmentsTable && { environments: environmentsTable }),
          ...(environmentsApiKeyTable && { serverKeys: environmentsApiKeyTable }),
          ...(environmentsV2Table && { environmentsV2: environmentsV2Table }),
        },
        nextTime: 0,
      };
    } catch (error) {
      if (!(error instanceof CoreError || error instanceof EdgeError)) throw error;
      return { kind: 'problem', reason: error.name, message: error.message, nextTime: 0 };
    }
  }

  async function readUnlessTroubled(projectId: number, signal: AbortSignal): Promise<ReadinessFact> {
    const begun = clock.monotonic();
    if (trouble !== undefined && begun < trouble.until) return trouble.fact;
    const fact = await read(projectId, signal);
    const now = clock.monotonic();
    trouble = fact.kind === 'problem' ? { fact, until: now + TROUBLE_FACTOR * (now - begun) } : undefined;
    return fact;
  }

  return {
    async read(projectId, signal) {
      const known = seen.get(projectId);
      if (known !== undefined && clock.monotonic() < known.until) return withNextTime(known);
      const found = await readUnlessTroubled(projectId, signal);
      const isSettled = found.kind === 'observed' && isComplete(found);
      const pauseMs = isSettled ? COMPLETE_FACTOR * againMs : againMs;
      const seenFact = { fact: found, until: clock.monotonic() + pauseMs };
      seen.set(projectId, seenFact);
      return withNextTime(seenFact);
    },
    expire(projectId, event) {
      if (events.get(projectId) === event) return;
      events.set(projectId, event);
      seen.delete(projectId);
    },
    forget(projectId) {
      events.delete(projectId);
      seen.delete(projectId);
    },
    get size() {
      return seen.size + events.size;
    },
  };
}

const nameEnvironment = ({ id, name }: EdgeEnvironment): PlaceFact => ({ id, name });

import {
  emptySketch,
  estimateNames,
  joinSketch,
  readSketch,
  type Sketch,
} from '@edge-migration/contract/reports/sketch.ts';
import { byRequests, type UsageDay, type UsageRow, type WrittenIdentities } from './days.ts';
import type { Entry } from './usage-entries.ts';

/** Per environment: the same identifier in another one is another identity. Undefined where some were not counted. */
export function countIdentities(
  days: readonly (readonly [date: string, entries: readonly Entry[]])[],
): WrittenIdentities | undefined {
  const written = days.flatMap(([date, entries]) =>
    // The parts of a long request may arrive after midnight.
    entries.filter(({ writes, named = 0 }) => writes + named > 0).map((entry) => ({ date, ...entry })),
  );
  const sketches = new Map<number, Sketch>();
  for (const { environmentId, identities } of written) {
    if (identities === undefined) return undefined;
    const sketch = sketches.get(environmentId) ?? emptySketch();
    joinSketch(sketch, readSketch(identities));
    sketches.set(environmentId, sketch);
  }
  const estimate = [...sketches.values()].reduce((sum, sketch) => sum + estimateNames(sketch), 0);
  // A sketch is a claim. Releases that did not count names have at most one per request.
  const most = written.reduce((sum, { writes, named = writes }) => sum + named, 0);
  const count = Math.min(estimate, most);
  const [since] = written.map(({ date }) => date).toSorted();
  return count === 0 || since === undefined ? undefined : { count, since };
}

/** All entries of one day together. */
export function sumDay(date: string, entries: readonly Entry[]): UsageDay {
  const rows = new Map<string, UsageRow>();
  for (const { environmentId, clients } of entries) {
    for (const [client, writes, reads] of clients) {
      const name = `${environmentId} ${client}`;
      const row = rows.get(name) ?? { environment: environmentId, client, writes: 0, reads: 0 };
      rows.set(name, { ...row, writes: row.writes + writes, reads: row.reads + reads });
    }
  }
  const latest = (times: readonly (string | null)[]) => {
    const all = times.flatMap((time) => (time === null ? [] : Date.parse(time)));
    return all.length === 0 ? undefined : Math.max(...all);
  };
  return {
    date,
    writes: entries.reduce((sum, { writes }) => sum + writes, 0),
    reads: entries.reduce((sum, { reads }) => sum + reads, 0),
    lastWrite: latest(entries.map(({ lastWrite }) => lastWrite)),
    lastRead: latest(entries.map(({ lastRead }) => lastRead)),
    rows: [...rows.values()].toSorted(byRequests),
  };
}

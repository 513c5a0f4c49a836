import { isDeepStrictEqual } from 'node:util';
import { objectNames, type ReplayStatus, type StillOnCore } from '@edge-migration/contract/edge-migration/api.ts';
import type { Action } from '../actions.ts';
import { formatTime, shorten } from '../conditions.ts';
import type { CaptureFact, Facts } from '../facts.ts';
import { byRequests, DAY_MS, dateOf, type UsageDay, type UsageFact } from './days.ts';
import { describeDays } from './series.ts';

export interface UsageDecision {
  stillOnCore: StillOnCore | undefined;
  actions: Action[];
  /** Milliseconds since the epoch; undefined where replay checks again anyway, or counting is over. */
  nextTime: number | undefined;
}

/** The status shows changes at most this often. */
const STATUS_MS = 10 * 60 * 1000;
/** The series is long, and the stream of reports holds a week: so it is written this rarely. */
const SERIES_MS = 60 * 60 * 1000;
/** After this long without a request nothing calls Core any more. */
const QUIET_MS = 7 * DAY_MS;
/** Counting ends this long after the deadline. */
const AFTERWARDS_MS = 31 * DAY_MS;
/** List entries in the status, which many read often; the series has all. */
const MOST_LISTED = 8;
const MESSAGE_LENGTH = 512;
/** Pods come and go, and an uncounted minute hides no client that calls all day. */
const SHORT_GAP_MS = 15 * 60 * 1000;
/** In these gaps a request bypassed all sidecars, or its count was lost with one. */
const UNCOUNTED_GAPS: readonly string[] = ['noSidecar', 'notWatched', 'sidecarVanished'];

/** The clients that still call Core for the project, from when there is a deadline until a month after it. */
export function decideStillOnCore(facts: Facts, replay: ReplayStatus | undefined): UsageDecision {
  const { now, usage, migration } = facts;
  const before = migration.status.replay?.stillOnCore;
  const unchanged = { stillOnCore: before, actions: [], nextTime: undefined };
  const deadline = replay?.deadline === undefined ? undefined : Date.parse(replay.deadline);
  if (deadline === undefined) return { ...unchanged, stillOnCore: undefined };
  if (usage === undefined || now > deadline + AFTERWARDS_MS) return unchanged;
  const nextTime = now > deadline ? now + SERIES_MS : undefined;
  const { countedSince, ...counted } = describe(facts, usage, before, deadline);
  const { stillOnCore: reportName } = objectNames(migration, 'copy');
  const stillOnCore: StillOnCore = {
    ...counted,
    ...(countedSince === undefined ? {} : { countedSince: formatTime(countedSince) }),
    countedUntil: formatTime(now),
    reportName,
  };
  const age = before?.countedUntil === undefined ? Number.POSITIVE_INFINITY : now - Date.parse(before.countedUntil);
  const isNews = before?.state !== stillOnCore.state;
  const isSame = isDeepStrictEqual({ ...before, countedUntil: undefined }, { ...stillOnCore, countedUntil: undefined });
  // The earlier message may be of another deadline, and may have been kept since that changed.
  const isMoved = names(stillOnCore.message, deadline) && !names(before?.message, deadline);
  if (!isNews && !isMoved && age < (isSame ? SERIES_MS : STATUS_MS)) return { ...unchanged, nextTime };
  const isDue = isNews || hourOf(now) !== hourOf(Date.parse(before?.countedUntil ?? ''));
  const days = describeDays(usage.days, { countedSince, now });
  const most = Math.ceil((migration.spec?.replay.windowSeconds ?? 0) / (DAY_MS / 1000)) + 31;
  const actions: Action[] = isDue && days.length > 0 ? [{ kind: 'writeUsageSeries', days, most }] : [];
  return { stillOnCore, actions, nextTime };
}

const hourOf = (time: number) => Math.floor(time / SERIES_MS);

type Counted = Omit<StillOnCore, 'countedSince'> & { countedSince: number | undefined };

function describe(
  { now, capture }: Facts,
  usage: UsageFact,
  before: StillOnCore | undefined,
  deadline: number,
): Counted {
  const isOver = now > deadline;
  const countedSince = findCountedSince(usage, capture, before, now);
  const recent = usage.days.filter(({ date }) => date === dateOf(now) || date === dateOf(now - DAY_MS));
  const lastWrite = latest(now, before?.lastWrite, usage.days, ({ lastWrite }) => lastWrite);
  const lastRead = latest(now, before?.lastRead, usage.days, ({ lastRead }) => lastRead);
  const lastTime = Math.max(lastWrite ?? Number.NEGATIVE_INFINITY, lastRead ?? Number.NEGATIVE_INFINITY);
  const isSince = (time: number) => countedSince !== undefined && countedSince <= time;
  const state = chooseState(recent, {
    isCounted: isSince(now - DAY_MS),
    isGone: isOver && isSince(now - QUIET_MS) && lastTime < now - QUIET_MS,
  });
  if (before !== undefined && knowsMore(before, state, now))
    return { ...before, countedSince, message: retell(before, deadline, isOver) };
  const writesPerDay = most(recent, ({ writes }) => writes);
  const readsPerDay = most(recent, ({ reads }) => reads);
  const environments = sumBy(recent, ({ environment }) => environment).map(([id, counts]) => ({ id, ...counts }));
  const clients = sumBy(recent, ({ client }) => client).map(([name, counts]) => ({ name, ...counts }));
  const counted = {
    state,
    countedSince,
    // Unknown numbers are not reported as zero.
    ...(state === 'Unknown' ? {} : { writesPerDay, readsPerDay }),
    ...(state === 'Writing' && usage.identities !== undefined
      ? { identities: roundAbout(usage.identities.count), identitiesSince: usage.identities.since }
      : {}),
    ...(lastWrite === undefined ? {} : { lastWrite: formatTime(lastWrite) }),
    ...(lastRead === undefined ? {} : { lastRead: formatTime(lastRead) }),
    ...(environments.length === 0 ? {} : { environments: environments.slice(0, MOST_LISTED) }),
    ...(clients.length === 0 ? {} : { clients: clients.slice(0, MOST_LISTED) }),
  };
  const said = { clients: clients.length, environments: environments.length, deadline, isOver };
  return { ...counted, message: shorten(writeMessage(counted, said), MESSAGE_LENGTH) };
}

const names = (message: string | undefined, time: number) => message?.includes(formatTime(time)) === true;

/** The earlier numbers with the present deadline. */
function retell(before: StillOnCore, deadline: number, isOver: boolean): string {
  const { message, clients = [], environments = [] } = before;
  if (before.state !== 'Writing' || names(message, deadline)) return message;
  const said = { clients: clients.length, environments: environments.length, deadline, isOver };
  return shorten(writeMessage(before, said), MESSAGE_LENGTH);
}

/** Since when every request is counted. Earlier knowledge holds until something contradicts it. */
function findCountedSince(
  { countingSince, uncountedUntil }: UsageFact,
  capture: CaptureFact,
  before: StillOnCore | undefined,
  now: number,
): number | undefined {
  const gaps = capture.kind === 'observed' ? capture.gaps : [];
  const ends = gaps
    .filter(({ reason }) => UNCOUNTED_GAPS.includes(reason))
    .map(({ from, until = now }) => (until - from < SHORT_GAP_MS ? Number.NEGATIVE_INFINITY : until));
  const until = Math.max(uncountedUntil ?? Number.NEGATIVE_INFINITY, ...ends);
  const known = before?.countedSince === undefined ? undefined : Date.parse(before.countedSince);
  if (known !== undefined && until <= known) return Math.min(known, Math.max(countingSince ?? known, until));
  return countingSince === undefined ? undefined : Math.max(countingSince, until);
}

function chooseState(
  recent: readonly UsageDay[],
  { isCounted, isGone }: { isCounted: boolean; isGone: boolean },
): StillOnCore['state'] {
  if (recent.some(({ writes }) => writes > 0)) return 'Writing';
  if (recent.some(({ reads }) => reads > 0)) return 'Reading';
  if (!isCounted) return 'Unknown';
  return isGone ? 'Gone' : 'Quiet';
}

/**
 * The stream keeps only a part of what a deleted pod had counted: a process that has read only that knows less of today
 * and yesterday than was reported before.
 */
function knowsMore(before: StillOnCore, state: StillOnCore['state'], now: number): boolean {
  if (state === 'Writing' || state === 'Reading') return false;
  const time = before.state === 'Writing' ? before.lastWrite : before.state === 'Reading' ? before.lastRead : undefined;
  return time !== undefined && dateOf(Date.parse(time)) >= dateOf(now - DAY_MS);
}

/** No sidecar's clock makes it later than now. */
function latest(
  now: number,
  before: string | undefined,
  days: readonly UsageDay[],
  read: (day: UsageDay) => number | undefined,
): number | undefined {
  const times = days.flatMap((day) => read(day) ?? []);
  const all = before === undefined ? times : [...times, Date.parse(before)];
  return all.length === 0 ? undefined : Math.min(now, Math.max(...all));
}

/** Two digits: the count is no more exact. */
const roundAbout = (count: number) => Number(count.toPrecision(2));

const most = (days: readonly UsageDay[], read: (day: UsageDay) => number) => Math.max(0, ...days.map(read));

/** The larger of today's and yesterday's numbers for each name, most writes first. */
function sumBy<K>(
  days: readonly UsageDay[],
  nameOf: (row: UsageDay['rows'][number]) => K,
): [K, { writesPerDay: number; readsPerDay: number }][] {
  const largest = new Map<K, { writes: number; reads: number }>();
  for (const { rows } of days) {
    const sums = new Map<K, { writes: number; reads: number }>();
    for (const row of rows) {
      const { writes, reads } = sums.get(nameOf(row)) ?? { writes: 0, reads: 0 };
      sums.set(nameOf(row), { writes: writes + row.writes, reads: reads + row.reads });
    }
    for (const [name, { writes, reads }] of sums) {
      const known = largest.get(name) ?? { writes: 0, reads: 0 };
      largest.set(name, { writes: Math.max(known.writes, writes), reads: Math.max(known.reads, reads) });
    }
  }
  return [...largest]
    .toSorted(([, one], [, other]) => byRequests(one, other))
    .map(([name, { writes, reads }]) => [name, { writesPerDay: writes, readsPerDay: reads }]);
}

interface Said {
  clients: number;
  environments: number;
  deadline: number;
  isOver: boolean;
}

/** Most of the clients' names are in the lists. */
function writeMessage(
  {
    state,
    writesPerDay = 0,
    readsPerDay = 0,
    identities,
    identitiesSince,
    lastWrite,
    clients: [first] = [],
  }: Omit<StillOnCore, 'message' | 'countedSince'>,
  { clients, environments, deadline, isOver }: Said,
): string {
  const who = `${amount(clients, 'client')} in ${amount(environments, 'environment')}`;
  const time = formatTime(deadline);
  switch (state) {
    case 'Writing':
      return (
        `${who} still write identities through Core, about ${amount(writesPerDay, 'request')} a day, ${first?.name} most: ` +
        (isOver
          ? `since ${time} these writes do not reach Edge, and each identity that they change differs there from then on`
          : `what they write after ${time} does not reach Edge, and each identity that they change differs there from then on`) +
        ` (${identities === undefined ? 'how many these are is not known' : `at least about ${amount(identities, 'identity', 'identities')} since ${identitiesSince}`}); move these apps to Edge` +
        (isOver ? '' : ', or extend spec.replay.windowSeconds')
      );
    case 'Reading':
      return `${who} still read identities from Core, about ${amount(readsPerDay, 'request')} a day, ${first?.name} most: they do not see what is written on Edge; move these apps to Edge`;
    case 'Quiet':
      return `no client has called Core for this project today or yesterday${lastWrite === undefined ? '' : `; the last write came at ${lastWrite}`}`;
    case 'Gone':
      return 'no client has called Core for this project for a week: Core can be switched off for it';
    case 'Unknown':
      return 'not known: not every sidecar has counted requests for a day yet; sidecars of an older release do not count, restart their pods with the new one';
  }
}

const amount = (count: number, one: string, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;

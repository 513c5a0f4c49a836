import {
  MINUTE_MS,
  type ParkedSubject,
  type ParkReason,
  parsePlace,
  type UnstorableIdentity,
} from '@edge-migration/contract/parked-place.ts';
import { PARKING_STREAM, PARKING_SUBJECTS } from '@edge-migration/contract/streams/applier.ts';
import { DERIVED_SUBJECTS, findStream, parseDerivedSubject, STREAM } from '@edge-migration/contract/streams/events.ts';
import { type StreamState, streamStateOf } from '@edge-migration/contract/streams/watermark.ts';
import { type Clock, momentOf } from '@edge-migration/runtime/clock.ts';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { WaitingEvents } from './facts.ts';

/** The content of the event streams at one moment. */
export interface Transit {
  /** The position of each stream, by name; without those that do not exist. */
  readonly streams: ReadonlyMap<string, StreamState>;
  /** When the parking stream was created, and how many messages were removed since; undefined while there is none. */
  readonly parking: { readonly created: string; readonly removed: number } | undefined;
  /** Sequence of the oldest event; the one after {@link lastSequence} when there is none. */
  readonly firstSequence: number;
  /** Sequence of the newest event that ever existed. */
  readonly lastSequence: number;
  /** Parked events of a project that wait until something is done about them. */
  parked(projectId: number): number;
  /** The parked events that failed repeatedly; for 0, events whose project is unknown. */
  failed(projectId: number): readonly WaitingEvents[];
  /** Starts of minutes whose events, of the project or of an unknown one, found no room for parking; ascending. */
  excess(projectId: number): readonly number[];
  /** Identities of a project with events that wait because Edge cannot hold them, ascending by Core's id. */
  unstorable(projectId: number): readonly UnstorableIdentity[];
  /**
   * Events of a project, or of an unknown one, that other events have put into the stream, or that are parked until
   * there is room or it is time; of all projects when left out. Undefined when that is not known.
   */
  underWay(projectId?: number): number | undefined;
  /**
   * Every event observed before this has reached its end, or is parked until something is done about it; of all projects
   * when `projectId` is left out. Undefined when that is not known.
   *
   * @param takenUntil everything observed before this has been taken from the stream
   */
  settledUntil(takenUntil: number | undefined, projectId?: number): number | undefined;
}

const TRIES = 3;
/** Handled once, and due to be handled again. */
const AGAIN: readonly ParkReason[] = ['repeat', 'late'];
/** They go on by themselves. */
const RETURNING: readonly ParkReason[] = ['overflow', ...AGAIN];
/** What Edge cannot hold is listed separately: it may stay so forever. What is handled again was applied once. */
const LISTED_ELSEWHERE: readonly ParkReason[] = ['unstorable', 'excess', ...AGAIN];

/**
 * Finds where events are that have already been in the stream. They enter their next place before they leave the last
 * one, but two places cannot be read at the same moment: a count of zero holds when nothing came to the first place
 * until after the second was read.
 *
 * @throws the NATS client's errors
 */
export async function readTransit(
  manager: JetStreamManager,
  clock: Pick<Clock, 'now' | 'monotonic'>,
): Promise<Transit> {
  for (let tries = 1; ; tries++) {
    const before = await readParked(manager);
    const asked = momentOf(clock);
    const stream = await manager.streams.info(STREAM, { subjects_filter: DERIVED_SUBJECTS });
    const { state } = stream;
    const after = await findStream(manager, PARKING_STREAM);
    const isSteady = before.lastSequence === (after?.state.last_seq ?? 0);
    if (!isSteady && tries < TRIES) continue;
    const found = after === undefined ? [stream] : [stream, after];
    const derived = sumEvents(
      Object.entries(state.subjects ?? {}).flatMap(([subject, events]) => {
        const projectId = parseDerivedSubject(subject);
        return projectId === undefined ? [] : [{ projectId, events }];
      }),
    );
    return {
      streams: new Map(found.map((one) => [one.config.name, streamStateOf(one, asked, clock)])),
      parking: after && { created: after.created, removed: after.state.last_seq - after.state.messages },
      firstSequence: state.messages === 0 ? state.last_seq + 1 : state.first_seq,
      lastSequence: state.last_seq,
      parked: (projectId) => before.all.get(projectId) ?? 0,
      failed: (projectId) => before.failed.get(projectId) ?? [],
      excess: (projectId) =>
        [...(before.excess.get(projectId) ?? []), ...(before.excess.get(0) ?? [])].sort((a, b) => a - b),
      unstorable: (projectId) => before.unstorable.get(projectId) ?? [],
      underWay: (projectId) => (isSteady ? sum(valuesOf(projectId, derived, before.returning)) : undefined),
      settledUntil(takenUntil, projectId) {
        const isKnown = isSteady && valuesOf(projectId, derived, before.undated).length === 0;
        return isKnown && takenUntil !== undefined
          ? Math.min(takenUntil, ...valuesOf(projectId, before.repeatingSince))
          : undefined;
      },
    };
  }
}

/** Of a project and of the unknown one; of all projects when `projectId` is undefined. */
function valuesOf(projectId: number | undefined, ...maps: readonly ReadonlyMap<number, number>[]): number[] {
  return maps.flatMap((map) =>
    projectId === undefined ? [...map.values()] : [projectId, 0].flatMap((id) => map.get(id) ?? []),
  );
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** What waits at one place of the parking stream. */
interface ParkedEvents extends ParkedSubject {
  readonly events: number;
}

async function readParked(manager: JetStreamManager) {
  // None while no applier has ever run.
  const state = (await findStream(manager, PARKING_STREAM, { subjects_filter: PARKING_SUBJECTS }))?.state;
  const places = listPlaces(state?.subjects ?? {});
  const returning = places.filter(({ reason }) => RETURNING.includes(reason));
  return {
    lastSequence: state?.last_seq ?? 0,
    all: sumEvents(places.filter(({ reason }) => !LISTED_ELSEWHERE.includes(reason))),
    returning: sumEvents(returning),
    undated: sumEvents(returning.filter((place) => findRepeatTime(place) === undefined)),
    repeatingSince: findRepeatTimes(returning),
    unstorable: listUnstorable(places),
    ...listStuck(places),
  };
}

function listPlaces(subjects: Readonly<Record<string, number>>): ParkedEvents[] {
  return Object.entries(subjects).flatMap(([subject, events]) => {
    const place = parsePlace(subject);
    return place === undefined ? [] : [{ ...place, events }];
  });
}

/** Since when an event may not have reached its end that is to be handled again, e.g. rechecked; undefined for others. */
function findRepeatTime({ reason, minute }: ParkedSubject): number | undefined {
  return reason === 'repeat' && minute !== undefined ? minute * MINUTE_MS : undefined;
}

/** The earliest of each project. */
function findRepeatTimes(places: readonly ParkedSubject[]): Map<number, number> {
  const earliest = new Map<number, number>();
  for (const place of places) {
    const time = findRepeatTime(place);
    if (time === undefined) continue;
    earliest.set(place.projectId, Math.min(time, earliest.get(place.projectId) ?? time));
  }
  return earliest;
}

/** By project: events that failed repeatedly, and minutes whose events found no room. */
function listStuck(places: readonly ParkedEvents[]) {
  const failed = new Map<number, WaitingEvents[]>();
  const excess = new Map<number, number[]>();
  // Strangers may fill tens of thousands of places under one project, so lists are extended, not rebuilt.
  const add = <T>(lists: Map<number, T[]>, projectId: number, entry: T) => {
    const list = lists.get(projectId);
    if (list === undefined) lists.set(projectId, [entry]);
    else list.push(entry);
  };
  for (const { projectId, reason, minute, isUnreadable = false, events } of places) {
    const from = minute === undefined ? undefined : minute * MINUTE_MS;
    if (reason === 'poison') add(failed, projectId, { from, isUnreadable, events });
    if (reason === 'excess') add(excess, projectId, from ?? 0);
  }
  return { failed, excess };
}

/** By project; each identity once, even if its cause has changed. */
function listUnstorable(places: readonly ParkedSubject[]): Map<number, UnstorableIdentity[]> {
  const found = new Map<number, Map<number, UnstorableIdentity>>();
  for (const { projectId, identity } of places) {
    if (identity === undefined) continue;
    found.set(projectId, (found.get(projectId) ?? new Map()).set(identity.identityId, identity));
  }
  const sort = (identities: Iterable<UnstorableIdentity>) =>
    [...identities].sort((one, other) => one.identityId - other.identityId);
  return new Map([...found].map(([projectId, identities]) => [projectId, sort(identities.values())]));
}

/** By project. */
function sumEvents(places: readonly Pick<ParkedEvents, 'projectId' | 'events'>[]): Map<number, number> {
  const sums = new Map<number, number>();
  for (const { projectId, events } of places) sums.set(projectId, (sums.get(projectId) ?? 0) + events);
  return sums;
}

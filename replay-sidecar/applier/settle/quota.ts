import { type ParkedSubject, parsePlace } from '@edge-migration/contract/parked-place.ts';

const BYTES = 1024;

export interface QuotaLimits {
  /** For all events of unknown projects: clients without any key may cause them. */
  readonly unresolvedMaxBytes: number;
  /** For the events of one project that Edge cannot hold. */
  readonly unstorableMaxBytes: number;
}

/** The KiB that an event of this many bytes counts as. */
export const kibOf = (bytes: number): number => Math.max(1, Math.ceil(bytes / BYTES));

/**
 * Limits how much of the parking stream is taken by events that resuming or suspending a project cannot clear, so that
 * they leave room for the others. Several appliers may each add to what the last check showed, and retried events leave
 * room that others take before they come back: they are taken back all the same, because an event that waited is never
 * refused. So the limits may be exceeded by what each applier parks between two checks, and by what is being retried: a
 * batch of unresolved events (parking.ts), or all of them, up to ten thousand, when `spec.retry` asks for it. That is
 * bounded, and only an earlier refusal, which is a gap, would avoid it.
 */
export function createQuota({ unresolvedMaxBytes, unstorableMaxBytes }: QuotaLimits) {
  let taken = new Map<string, number>();
  /** Not known to be stored. */
  const underWay = new Map<string, number>();
  /** Under way since the present check began: it may or may not show them. */
  let recent = new Map<string, number>();

  return {
    /** A check begins. */
    begin(): void {
      recent = new Map(underWay);
    },
    /** @param parked numbers of events by subject, as the check shows them */
    notice(parked: ReadonlyMap<string, number>): void {
      taken = new Map(recent);
      for (const [subject, events] of parked) {
        const place = parsePlace(subject);
        if (place !== undefined) add(taken, place, events);
      }
    },
    /** Whether there is room for an event at this place; if so, it counts, and is under way until it is settled. */
    take(place: ParkedSubject): boolean {
      const name = nameOf(place);
      const most = name === UNRESOLVED ? unresolvedMaxBytes : unstorableMaxBytes;
      if (name !== undefined && (taken.get(name) ?? 0) + bytesOf(place) > most) return false;
      for (const sums of [taken, recent, underWay]) add(sums, place, 1);
      return true;
    },
    /** It is stored, or will not be. */
    settle: (place: ParkedSubject) => add(underWay, place, -1),
  };
}

export type Quota = ReturnType<typeof createQuota>;

const bytesOf = ({ kib = 1 }: ParkedSubject) => kib * BYTES;

function add(sums: Map<string, number>, place: ParkedSubject, events: number): void {
  const name = nameOf(place);
  if (name !== undefined) sums.set(name, (sums.get(name) ?? 0) + events * bytesOf(place));
}

const UNRESOLVED = 'unresolved';

function nameOf({ projectId, reason }: ParkedSubject): string | undefined {
  if (projectId === 0 && reason === 'poison') return UNRESOLVED;
  return reason === 'unstorable' ? `unstorable ${projectId}` : undefined;
}

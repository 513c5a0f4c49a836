import { randomInt } from 'node:crypto';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { KubernetesObject } from './client.ts';
import { formatMicroTime } from './objects.ts';

type Subject = Pick<KubernetesObject, 'apiVersion' | 'kind' | 'metadata'>;

/**
 * An event for people. Everything except the note identifies it: a repetition within six minutes is not another event
 * but a higher count, so put numbers, names and times into the note.
 */
export interface ObservedEvent {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase: the reason. */
  readonly reason: string;
  /** CamelCase: the action that was done or attempted. */
  readonly action: string;
  /** A sentence; truncated to 1 kB. */
  readonly note: string;
  /** The object that the event is about; `kubectl describe` shows it there. */
  readonly regarding: Subject;
  readonly related?: Subject | undefined;
}

export interface EventObjectsOptions {
  readonly clock: Pick<Clock, 'now'>;
  /** For example `example.com/operator`. */
  readonly reportingController: string;
  /** The pod's name. */
  readonly reportingInstance: string;
}

const LONGEST_NOTE_BYTES = 1_024;

/** Makes events' API objects, with names in the order of their times. */
export class EventObjects {
  private readonly options: EventObjectsOptions;
  private lastSuffix = 0n;

  constructor(options: EventObjectsOptions) {
    this.options = options;
  }

  create({ type, reason, action, note, regarding, related }: ObservedEvent): KubernetesObject {
    const { clock, reportingController, reportingInstance } = this.options;
    const { name, namespace = 'default' } = regarding.metadata;
    const now = clock.now();
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { namespace, name: `${name.slice(0, 200)}.${this.nextSuffix(now)}` },
      eventTime: formatMicroTime(now),
      ...{ type, reason, action, reportingController, reportingInstance },
      note: shorten(note),
      regarding: referenceTo(regarding),
      ...(related !== undefined && { related: referenceTo(related) }),
    };
  }

  /**
   * Nanoseconds, as in client-go: `kubectl describe` sorts events without another order by name. Two of one millisecond
   * stay in order, and names of two processes do not collide.
   */
  private nextSuffix(now: number): string {
    const time = BigInt(now) * 1_000_000n + BigInt(randomInt(1_000_000));
    this.lastSuffix = time > this.lastSuffix ? time : this.lastSuffix + 1n;
    return this.lastSuffix.toString(16).padStart(16, '0');
  }
}

/** The object that the event is about. */
export function subjectOf({ regarding }: ObservedEvent): string {
  return regarding.metadata.uid ?? `${regarding.kind}/${regarding.metadata.namespace}/${regarding.metadata.name}`;
}

/** The same for an event and its repetitions. */
export function identify({ type, reason, action, regarding, related }: ObservedEvent): string {
  return JSON.stringify([type, reason, action, referenceTo(regarding), related && referenceTo(related)]);
}

function referenceTo({ apiVersion, kind, metadata: { namespace, name, uid } }: Subject) {
  return { apiVersion, kind, namespace, name, uid };
}

/** At most 1 kB of UTF-8, in whole characters. */
function shorten(note: string): string {
  if (Buffer.byteLength(note) <= LONGEST_NOTE_BYTES) return note;
  const ellipsis = '…';
  const { read } = new TextEncoder().encodeInto(note, new Uint8Array(LONGEST_NOTE_BYTES - Buffer.byteLength(ellipsis)));
  return note.slice(0, read) + ellipsis;
}

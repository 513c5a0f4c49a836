import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { stringify } from 'yaml';
import type { Cluster } from './cluster.ts';
import type { Terminal } from './terminal.ts';

/** The environment of a command. */
export interface Context {
  readonly cluster: Cluster;
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

export const FORMATS = ['json', 'yaml', 'wide', 'name'] as const;
export type Format = (typeof FORMATS)[number];

/** For programs: a single object, several as a Kubernetes List; any other value as JSON or YAML. */
export function serialise(format: 'json' | 'yaml', value: unknown): string {
  return format === 'json' ? `${JSON.stringify(value, null, 2)}\n` : stringify(value);
}

/** Objects as printed by `kubectl get -o json`. @param single print one object by itself, not as a list */
export function serialiseObjects(
  format: 'json' | 'yaml',
  objects: readonly KubernetesObject[],
  single: boolean,
): string {
  if (single && objects.length === 1) return serialise(format, objects[0]);
  return serialise(format, { apiVersion: 'v1', kind: 'List', metadata: {}, items: objects });
}

export const isMachineFormat = (format: Format | undefined): format is 'json' | 'yaml' =>
  format === 'json' || format === 'yaml';

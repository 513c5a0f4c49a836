import { OPERATOR_FIELD_MANAGER } from '@edge-migration/contract/edge-migration/api.ts';
import { applyOver } from '@edge-migration/kubernetes/apply-over.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { ConflictError } from '@edge-migration/kubernetes/errors.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { STREAM_RECORD_MS } from '@edge-migration/runtime/policies.ts';
import { type Losses, type StreamRecord, streamRecord } from './losses.ts';
import { parseJsonText } from './parse.ts';

/** The ConfigMap in the operator's namespace. */
export const RECORD_NAME = 'edge-migration-streams';

/** Keeps what is known of the streams: outside of NATS, which may lose it. */
export interface RecordStore {
  /** @throws ApiError */
  read(signal: AbortSignal): Promise<{ record: StreamRecord | undefined; version: string | undefined }>;
  /**
   * @param version as it was read; undefined when there was none
   * @returns false when another process has written meanwhile
   * @throws ApiError
   */
  write(record: StreamRecord, version: string | undefined, signal: AbortSignal): Promise<boolean>;
}

/** An unreadable record counts as none: it was damaged. */
export function createRecordStore(client: KubernetesClient, namespace: string): RecordStore {
  const reference = { namespace, name: RECORD_NAME };
  return {
    async read(signal) {
      const object = await client.get(CONFIG_MAPS, reference, { signal });
      const { record } = (object?.['data'] ?? {}) as { record?: string };
      return { record: parseJsonText(record, streamRecord), version: object?.metadata.resourceVersion };
    },
    async write(record, version, signal) {
      const data = { record: JSON.stringify(record) };
      const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: reference, data };
      try {
        await applyOver(client, CONFIG_MAPS, object, version, { fieldManager: OPERATOR_FIELD_MANAGER, signal });
        return true;
      } catch (error) {
        if (error instanceof ConflictError) return false;
        throw error;
      }
    },
  };
}

/** Reads the record once, and writes later changes. */
export interface RecordKeeper {
  /** Called before the first reading: what it says may be gone afterwards. */
  restore(signal: AbortSignal): Promise<void>;
  /** At once when something was lost; the streams' positions, now and then. */
  save(signal: AbortSignal): Promise<void>;
}

export function createRecordKeeper(store: RecordStore, losses: Losses, clock: Clock): RecordKeeper {
  let isRestored = false;
  let saved: { losses: ReturnType<Losses['list']>; text: string; time: number } | undefined;

  return {
    async restore(signal) {
      if (isRestored) return;
      const { record } = await store.read(signal);
      if (record !== undefined) losses.restore(record);
      isRestored = true;
    },
    async save(signal) {
      const isLate = saved === undefined || clock.monotonic() - saved.time >= STREAM_RECORD_MS;
      if (!isLate && saved?.losses === losses.list()) return;
      const { record: other, version } = await store.read(signal);
      // Each replica of the operator reads for itself, and keeps what the others have found.
      losses.join(other?.losses ?? []);
      const record = losses.record();
      const text = JSON.stringify(record);
      const isThere = version !== undefined && text === saved?.text;
      const isWritten = isThere || (await store.write(record, version, signal));
      if (isWritten) saved = { losses: losses.list(), text, time: clock.monotonic() };
    },
  };
}

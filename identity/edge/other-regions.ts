import { type Batcher, createBatcher } from '@edge-migration/runtime/batcher.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { OTHER_REGION_CALL, OTHER_REGION_REQUEST_MS, OTHER_REGION_REST_MS } from '@edge-migration/runtime/policies.ts';
import { isEdgeBorn } from '../convergence-step.ts';
import type { Item } from './document/document.ts';
import { sameValue } from './document/equality.ts';
import { findExtras, leaveOut, mergeTouched, type Touched } from './merge.ts';
import { type DocumentOwner, isDocumentOf } from './ownership.ts';
import { areSameRows } from './row-agreement.ts';
import type { EdgeOptions } from './table/connection.ts';
import { type OverrideRowKey, rowName } from './table/override-rows.ts';
import {
  type EdgeSettings,
  type EdgeStore,
  GET_BATCH,
  inRegion,
  openEdge,
  ResponseTooLargeError,
} from './table/table.ts';

/**
 * Whether other regions agree with the written region on what was touched. `unreachable`: one of them cannot be asked;
 * `differs`: replication has not delivered it there, or something else is there.
 */
export type Agreement = 'same' | 'differs' | 'unreachable';

/** A document as it was just read or written in the written region. */
export interface Here {
  /** That region: another one may be written by now. */
  readonly region: string;
  readonly document: Item | undefined;
  /** The document that Core's rows make, with which it agrees; undefined where they make none. */
  readonly core?: Item | undefined;
  /** The rows of overrides that have to be the same, too, in regions that have their table. */
  readonly rows?: readonly OverrideRowKey[] | undefined;
}

export interface RegionReader {
  readonly region: string;
  /** For reading only. */
  readonly edge: EdgeStore;
  document(key: string): Promise<Item | undefined>;
}

/** The regions of a global table as this process reads them, the home region first. */
export interface OtherRegions {
  readers(): Promise<readonly RegionReader[]>;
  /** Compares one document in every region of the table with the one in the region that is or was written. */
  compare(owner: DocumentOwner, key: string, here: Here, touched: Touched): Promise<Agreement>;
  /** Whether one of the checked regions, other than this one, failed to answer just now. */
  isResting(here: string): Promise<boolean>;
  close(): void;
}

const PARALLEL = 2;
const MOST_BYTES = 4 * 2 ** 20;

/**
 * Opens the tables of the home region and of the others that are configured, for reading.
 *
 * @param written the tables as they are written, in whichever region
 */
export function openOtherRegions(
  written: EdgeStore,
  settings: EdgeSettings & { readonly dynamodbOtherRegions?: readonly string[] | undefined },
  options: Pick<EdgeOptions, 'credentials'> & {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly signal: AbortSignal;
  },
): OtherRegions {
  const { logger, signal } = options;
  let opened: Promise<readonly Reader[]> | undefined;

  async function open(): Promise<readonly Reader[]> {
    // Before a first move to another region, the tables are those of the home region.
    const home = await written.homeRegion();
    const names = [...new Set([home, ...(settings.dynamodbOtherRegions ?? [])])];
    return names.map((region) => openReader(region, region === home ? settings : inRegion(settings, region), options));
  }

  const readers = () => (opened ??= open());

  async function othersThan(here: string): Promise<readonly Reader[]> {
    const regions = written.identityRegions();
    return (await readers()).filter(({ region }) => region !== here && (regions === undefined || regions.has(region)));
  }

  return {
    readers,
    async compare(owner, key, here, touched) {
      const others = await othersThan(here.region);
      const own = (await readers()).find(({ region }) => region === here.region);
      const { rows = [] } = here;
      let ownRows: ReturnType<Reader['rows']> | undefined;
      const found = await Promise.all(others.map((reader) => compareWith(reader)));
      if (found.includes('unreachable')) return 'unreachable';
      return found.includes('differs') ? 'differs' : 'same';

      async function compareWith(reader: Reader): Promise<Agreement> {
        if (reader.rests()) return 'unreachable';
        try {
          const there = await reader.document(key);
          const isSame = agrees(owner, here, there, touched) && (await hasRows(reader));
          // Its documents may be readable while its rows are not.
          if (reader.isSilent) logger.info({ region: reader.region }, 'a region of Edge can be read again');
          reader.isSilent = false;
          return isSame ? 'same' : 'differs';
        } catch (error) {
          signal.throwIfAborted();
          const { region } = reader;
          if (!reader.isSilent)
            logger.warn({ err: error, region }, 'a region of Edge cannot be read; rechecks of it wait');
          reader.isSilent = true;
          return 'unreachable';
        }
      }

      /** Each item is replicated by itself: a row may still be on its way when its document has arrived. */
      async function hasRows(reader: Reader): Promise<boolean> {
        if (rows.length === 0 || own === undefined || !written.regions()?.has(reader.region)) return true;
        ownRows ??= own.rows(rows);
        return areSameRows(await ownRows, await reader.rows(rows));
      }
    },
    isResting: async (here) => (await othersThan(here)).some(({ rests }) => rests()),
    close() {
      void opened?.then((all) => {
        for (const { edge } of all) edge.close();
      });
    },
  };
}

interface Reader extends RegionReader {
  isSilent: boolean;
  /** In the order of the keys; undefined for those that it does not have. */
  rows(keys: readonly OverrideRowKey[]): Promise<(Item | undefined)[]>;
  /** It has just failed to answer, and is not asked for a while. */
  rests(): boolean;
}

function openReader(
  region: string,
  settings: EdgeSettings,
  { clock, credentials, signal }: Parameters<typeof openOtherRegions>[2],
): Reader {
  const edge = openEdge(settings, {
    clock,
    retryBudgetMs: OTHER_REGION_CALL.budgetMs,
    requestTimeoutMs: OTHER_REGION_REQUEST_MS,
    ...(credentials && { credentials }),
  });
  const documents = createReads(clock, async (keys: readonly string[]) => {
    const found = await edge.identities.getMany(keys, { signal, mostBytes: MOST_BYTES });
    return keys.map((key) => found.get(key));
  });
  // They rest by themselves: rows that may not be read must not hold up what touched none.
  const rows = createReads(clock, async (keys: readonly OverrideRowKey[]) => {
    const found = await edge.overrideRows?.getMany(keys, { signal });
    return keys.map((key) => found?.get(rowName(key)));
  });
  return {
    ...{ region, edge, isSilent: false, rests: documents.rests },
    document: (key) => documents.ask(key, key),
    rows: (keys) => Promise.all(keys.map((key) => rows.ask(rowName(key), key))),
  };
}

interface Reads<K> extends Batcher<K, Item | undefined> {
  /** One has just failed, and none is sent for a while. */
  rests(): boolean;
}

function createReads<K>(clock: Clock, read: (keys: readonly K[]) => Promise<(Item | undefined)[]>): Reads<K> {
  /** Monotonic milliseconds, and the reason. */
  let rest = { until: 0, cause: undefined as unknown };
  const rests = () => clock.monotonic() < rest.until;
  const isolates = (error: unknown) => error instanceof ResponseTooLargeError;
  const batcher = createBatcher<K, Item | undefined>(
    async (keys) => {
      // Thousands may have been waiting when the region fell silent.
      if (rests()) throw rest.cause;
      try {
        return await read(keys);
      } catch (cause) {
        if (!isolates(cause)) rest = { until: clock.monotonic() + OTHER_REGION_REST_MS, cause };
        throw cause;
      }
    },
    { most: GET_BATCH, parallel: PARALLEL, isolates },
  );
  return { ...batcher, rests };
}

/**
 * Whether one region's document agrees with another region's on what was touched. Other changes by Edge clients may be
 * on their way, and are ignored.
 */
export function agrees(
  owner: DocumentOwner,
  { document, core }: Omit<Here, 'region'>,
  there: Item | undefined,
  touched: Touched,
): boolean {
  const [own, other] = [document, there].map((item) =>
    item !== undefined && isDocumentOf(item, owner) ? item : undefined,
  );
  if (own === undefined) return other === undefined || isEdgeBorn(other);
  if (other === undefined) return false;
  // Anything left here although everything was touched comes from an Edge client, too.
  const ours = core === undefined ? touched : leaveOut(touched, findExtras(own, core), other, own);
  return sameValue(own['django_id'], other['django_id']) && Object.keys(mergeTouched(other, own, ours)).length === 0;
}

import { hash } from 'node:crypto';
import { canonicalItem } from './canonical.ts';
import type { Item } from './document/document.ts';
import { withoutReplicationAttributes } from './replication-attributes.ts';
import { EdgeError, type EdgeStore } from './table/table.ts';

/** Of the documents written elsewhere, this many are looked for in the home region: the newest. */
const MOST_WRITTEN = 100;
/** Versions of one document: the home region may lag behind by so many looks. */
const MOST_VERSIONS = 60;

/** An answer that stays the same until a person has changed something. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof EdgeError && error.disposition === 'misconfigured';

/** A document as it was read, or its absence. */
type Version = string;

/**
 * Writes made in another region, which are looked for in the home region before that is written again.
 *
 * Edge clients, and we, may change a document all the time, so that the home region never has its latest version. Each
 * version that was read where it was written since the wait began has our writes of before, or comes after them; the
 * home region needs to have any of these. What is written during the wait is within the usual window (docs/limits.md).
 */
export class WrittenElsewhere {
  private readonly keys = new Set<string>();
  /** The versions of each document that were read elsewhere since then. */
  private awaited: Map<string, Set<Version>> | undefined;
  private blind = false;

  /** Nothing was written, so nothing shows whether replication works. */
  get isEmpty(): boolean {
    return this.keys.size === 0;
  }

  /** Documents that are not in the home region yet; undefined: not looked for. */
  get left(): number | undefined {
    return this.awaited?.size;
  }

  /** The documents cannot be read where they were written, so they cannot be looked for either. */
  get isBlind(): boolean {
    return this.blind;
  }

  note(key: string): void {
    remember(this.keys, key, MOST_WRITTEN);
  }

  /** Looks for everything written up to now from now on; if nothing was, for the next write. */
  beginAwaiting(): void {
    if (!this.isEmpty) this.awaited = new Map([...this.keys].map((key) => [key, new Set()]));
  }

  /** Looks for the awaited documents. */
  async find(home: EdgeStore, edge: EdgeStore, signal: AbortSignal): Promise<void> {
    const { awaited } = this;
    if (awaited === undefined) return;
    const asked = [...awaited.keys()];
    const there = await edge.identities.getMany(asked, { signal }).catch((error: unknown) => {
      if (isRefusal(error)) this.blind = true;
      if (this.blind) this.awaited = undefined;
      throw error;
    });
    const here = await home.identities.getMany(asked, { signal });
    for (const [key, versions] of awaited) {
      remember(versions, versionOf(there.get(key)), MOST_VERSIONS);
      if (versions.has(versionOf(here.get(key)))) awaited.delete(key);
    }
  }

  /** Starts a new search on request. */
  stopAwaiting(): void {
    this.awaited = undefined;
    this.blind = false;
  }

  /** Everything has arrived, or is no longer awaited. */
  forget(): void {
    this.stopAwaiting();
    this.keys.clear();
  }
}

function versionOf(item: Item | undefined): Version {
  return item === undefined ? '' : hash('sha256', canonicalItem(withoutReplicationAttributes(item)), 'base64');
}

/** As the newest; the oldest goes when there are too many. */
function remember(all: Set<string>, one: string, most: number): void {
  all.delete(one);
  all.add(one);
  const [oldest] = all;
  if (all.size > most) all.delete(oldest!);
}

import type { Item } from './document/document.ts';
import { sameValue } from './document/equality.ts';
import { withoutReplicationAttributes } from './replication-attributes.ts';
import { EdgeError, type EdgeStore } from './table/table.ts';

/** Of the documents written elsewhere, this many are looked for in the home region: the newest. */
const MOST_WRITTEN = 100;

/** An answer that stays the same until a person has changed something. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof EdgeError && error.disposition === 'misconfigured';

/** Writes made in another region, which are looked for in the home region before that is written again. */
export class WrittenElsewhere {
  private readonly keys = new Set<string>();
  private awaited: Set<string> | undefined;
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
    this.keys.delete(key);
    this.keys.add(key);
    const [oldest] = this.keys;
    if (this.keys.size > MOST_WRITTEN) this.keys.delete(oldest!);
  }

  /** Looks for everything written up to now from now on; if nothing was, for the next write. */
  beginAwaiting(): void {
    if (!this.isEmpty) this.awaited = new Set(this.keys);
  }

  /** Looks for the awaited documents. */
  async find(home: EdgeStore, edge: EdgeStore, signal: AbortSignal): Promise<void> {
    const { awaited } = this;
    if (awaited === undefined) return;
    const asked = [...awaited];
    const there = await edge.identities.getMany(asked, { signal }).catch((error: unknown) => {
      if (isRefusal(error)) this.blind = true;
      if (this.blind) this.awaited = undefined;
      throw error;
    });
    const here = await home.identities.getMany(asked, { signal });
    for (const key of asked) if (isSame(there.get(key), here.get(key))) awaited.delete(key);
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

function isSame(one: Item | undefined, other: Item | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return sameValue({ M: withoutReplicationAttributes(one) }, { M: withoutReplicationAttributes(other) });
}

import type { Item } from './document/document.ts';
import { sameValue } from './document/equality.ts';
import { withoutReplicationAttributes } from './replication-attributes.ts';
import { EdgeError, type EdgeStore } from './table/table.ts';

/** Of the documents that were written elsewhere, so many are looked for in the home region: the newest. */
const MOST_WRITTEN = 100;

/** An answer that remains the same until a person has changed something. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof EdgeError && error.disposition === 'misconfigured';

/** What was written in another region, and is looked for in the home region before that is written again. */
export class WrittenElsewhere {
  private readonly keys = new Set<string>();
  private awaited: Set<string> | undefined;
  private blind = false;

  /** Nothing was written, so that nothing can tell whether replication works. */
  get isEmpty(): boolean {
    return this.keys.size === 0;
  }

  /** Documents that are not found in the home region yet; undefined: not looked for. */
  get left(): number | undefined {
    return this.awaited?.size;
  }

  /** What was written elsewhere cannot be read there, so it cannot be looked for either. */
  get isBlind(): boolean {
    return this.blind;
  }

  note(key: string): void {
    this.keys.delete(key);
    this.keys.add(key);
    const [oldest] = this.keys;
    if (this.keys.size > MOST_WRITTEN) this.keys.delete(oldest!);
  }

  /** What was written up to now is looked for from now on; if nothing was, the next write will be. */
  beginAwaiting(): void {
    if (!this.isEmpty) this.awaited = new Set(this.keys);
  }

  /** Looks for what is awaited. */
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

  /** Begins to look anew, when it is told to. */
  stopAwaiting(): void {
    this.awaited = undefined;
    this.blind = false;
  }

  /** All is there, or nobody waits for it any more. */
  forget(): void {
    this.stopAwaiting();
    this.keys.clear();
  }
}

function isSame(one: Item | undefined, other: Item | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return sameValue({ M: withoutReplicationAttributes(one) }, { M: withoutReplicationAttributes(other) });
}

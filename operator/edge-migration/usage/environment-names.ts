import type { EnvironmentReference } from '@edge-migration/contract/write-event.ts';
import { scopeName } from '@edge-migration/contract/write-scope.ts';
import type { ReferencedEnvironment } from '@edge-migration/identity/core/environment-references.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';

/** The environments of references, by their names; those unknown to Core are left out. */
export type ReadEnvironments = (
  references: readonly EnvironmentReference[],
  signal: AbortSignal,
) => Promise<Map<string, ReferencedEnvironment>>;

const MOST_NAMES = 20_000;
/** A key may be given to another environment, or be created. */
const ASK_AGAIN_MS = 60_000;

/** The environments that reports name by their keys, as Core knew them a moment ago. */
export class EnvironmentNames {
  private readonly readEnvironments: ReadEnvironments;
  private readonly clock: Pick<Clock, 'monotonic'>;
  private readonly known = new Map<string, { environment: ReferencedEnvironment | undefined; askedTime: number }>();

  constructor(readEnvironments: ReadEnvironments, clock: Pick<Clock, 'monotonic'>) {
    this.readEnvironments = readEnvironments;
    this.clock = clock;
  }

  /** The environment, if the last {@link resolve} found it. */
  find(reference: EnvironmentReference): ReferencedEnvironment | undefined {
    return this.known.get(scopeName(reference))?.environment;
  }

  /**
   * Asks Core for those that are not known, or have been for long.
   *
   * @throws Core's errors when it cannot be asked
   */
  async resolve(references: readonly EnvironmentReference[], signal: AbortSignal): Promise<void> {
    const now = this.clock.monotonic();
    for (const [name, { askedTime }] of this.known) {
      if (askedTime + ASK_AGAIN_MS <= now) this.known.delete(name);
    }
    const room = MOST_NAMES - this.known.size;
    const named = new Map(references.map((reference) => [scopeName(reference), reference]));
    const due = [...named].filter(([name]) => !this.known.has(name)).slice(0, room);
    if (due.length === 0) return;
    const found = await this.readEnvironments(
      due.map(([, reference]) => reference),
      signal,
    );
    for (const [name] of due) this.known.set(name, { environment: found.get(name), askedTime: now });
  }
}

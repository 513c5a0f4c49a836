import type { Clock } from '@edge-migration/runtime/clock.ts';

/**
 * Caches the response to each signed request for as long as its signature is valid. The same request again, whether its
 * sender lost the connection or an attacker recorded it, gets the first response, and nothing is done twice.
 */
export interface Replays<Answer> {
  /**
   * The response to this signature; `act` is called unless it is cached or pending. An error of `act` is not cached.
   *
   * @param until wall clock time in milliseconds at which the signature expires
   */
  answer(signature: string, until: number, act: () => Promise<Answer>): Promise<Answer>;
}

/** Only holders of a key can fill it. */
const MOST_ANSWERS = 10_000;

/** Too many signatures are remembered; wait until the first of them have expired. */
export class ReplaysFullError extends Error {
  override readonly name = 'ReplaysFullError';
}

export function createReplays<Answer>(clock: Pick<Clock, 'now'>, mostAnswers = MOST_ANSWERS): Replays<Answer> {
  const known = new Map<string, { answer: Promise<Answer>; until: number }>();

  function forgetExpired() {
    const now = clock.now();
    for (const [signature, { until }] of known) if (until < now) known.delete(signature);
  }

  return {
    async answer(signature, until, act) {
      const before = known.get(signature);
      if (before !== undefined) return before.answer;
      if (known.size >= mostAnswers) forgetExpired();
      if (known.size >= mostAnswers)
        throw new ReplaysFullError(`${mostAnswers} requests were made in the last minutes`);
      const answer = act();
      known.set(signature, { answer, until });
      try {
        return await answer;
      } catch (error) {
        known.delete(signature);
        throw error;
      }
    },
  };
}

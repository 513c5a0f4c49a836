import { ResultTooLargeError } from '@edge-migration/identity/core/errors.ts';
import { ResponseTooLargeError } from '@edge-migration/identity/edge/table/table.ts';

/** Maximum number of items in one call of DynamoDB. */
export const PART = 100;
/** After this many parts that fit, twice the size is tried. */
const FITTING = 10;

/** The data of several identities in both stores exceeds the memory limits. */
const isTooLarge = (error: unknown) => error instanceof ResponseTooLargeError || error instanceof ResultTooLargeError;

/**
 * Runs `work` for parts of `all`, one after the other. A part that is too large is repeated in halves, and following
 * ones are small from the start; `work` must have no effect if it reports that.
 */
export type WorkInParts = <T>(all: readonly T[], work: (part: readonly T[]) => Promise<void>) => Promise<void>;

/** @param largest maximum number of items in a part */
export function createParts(largest: number): WorkInParts {
  let most = largest;
  let fitting = 0;
  return async function workInParts(all, work) {
    for (let from = 0; from < all.length; ) {
      const part = all.slice(from, from + most);
      try {
        await work(part);
      } catch (error) {
        if (part.length === 1 || !isTooLarge(error)) throw error;
        most = part.length >> 1;
        fitting = 0;
        continue;
      }
      from += part.length;
      if (++fitting < FITTING) continue;
      most = Math.min(2 * most, largest);
      fitting = 0;
    }
  };
}

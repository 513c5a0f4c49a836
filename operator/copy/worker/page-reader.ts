import type { Stores } from '@edge-migration/identity/converge.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { boundOf } from '@edge-migration/identity/core/pages.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Retrying } from '../../job/failure.ts';
import type { Segment } from '../ranges.ts';
import type { CopyPage } from './page.ts';
import { startPageAge } from './page-age.ts';
import type { PageSizer } from './page-size.ts';

/** A page as read, whether it is Core's last one, and the number of characters of its rows. */
export interface FetchedPage extends CopyPage {
  readonly isLast: boolean;
  readonly size: number;
}

export interface CopyPageReaderOptions {
  readonly stores: Stores;
  readonly clock: Clock;
  readonly pageMaxAgeMs: number;
  readonly sizer: PageSizer;
  readonly retrying: Retrying;
  /** See {@link CopyPage.lost}. */
  readonly lost: () => void;
}

/** Reads pages of a size that can be written before they are too old. */
export function createCopyPageReader(options: CopyPageReaderOptions, signal: AbortSignal) {
  const { stores, clock, pageMaxAgeMs, sizer, retrying, lost } = options;
  return (environment: CoreEnvironment, segment: Segment, start: string | null): Promise<FetchedPage> =>
    retrying(async () => {
      const limit = sizer.next();
      const deadline = startPageAge(clock, pageMaxAgeMs);
      const { order, until } = segment;
      const request = { environment, order, after: start ?? segment.after, until, limit };
      const { identities, isLast, size } = await stores.core.identities.page(request, signal);
      return { environment, identities, deadline, lost, isLast, size };
    });
}

/** Where the next page begins; undefined if there is none. */
export function nextOf({ identities, isLast }: Pick<FetchedPage, 'identities' | 'isLast'>, { order }: Segment) {
  const last = identities.at(-1);
  return isLast || last === undefined ? undefined : boundOf(last, order);
}

/** Where to continue within a page that began at `start`, after its first `done` identities. */
export function restOf(
  { identities }: CopyPage,
  start: string | null,
  done: number,
  { order }: Segment,
): string | null {
  const last = identities[done - 1];
  return last === undefined ? start : boundOf(last, order);
}

/** The number of identities that the next page should have. */
export interface PageSizer {
  next(): number;
  /** A page was read and written. */
  done(page: { identities: number; bytes: number; seconds: number }): void;
  /** A page could not be read in time, or became too old before it was written. */
  failed(): void;
}

/** The first page is small, because the size of the documents is still unknown. */
const FIRST = 25;
/** Two pages are in memory at a time, each as rows, documents and requests. */
const MAX_BYTES = 6 * 2 ** 20;
/** A page waits while the previous one is written, so both must be written before it is too old. */
const SHARE_OF_AGE = 1 / 4;

/**
 * Keeps pages small enough to be written long before they are too old, at any write rate, and to fit into a worker's
 * memory, whatever the size of the documents.
 *
 * @param limit the configured page size, which may change at any time
 */
export function createPageSizer(limit: () => number, pageMaxAgeMs: number): PageSizer {
  const targetSeconds = (pageMaxAgeMs / 1000) * SHARE_OF_AGE;
  let size = FIRST;
  return {
    next: () => Math.max(1, Math.min(limit(), size)),

    done({ identities, bytes, seconds }) {
      if (identities === 0) return;
      const byTime = identities * (targetSeconds / Math.max(seconds, 1e-3));
      const byBytes = identities * (MAX_BYTES / Math.max(bytes, 1));
      size = Math.max(1, Math.floor(Math.min(2 * Math.max(size, identities), byTime, byBytes)));
    },

    failed() {
      size = Math.max(1, Math.floor(Math.min(size, limit()) / 2));
    },
  };
}

/**
 * A request that Core may understand and we do not: its bytes are beyond what is read here, or releases of Core's
 * libraries read them differently. Its writes cannot be named.
 */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}

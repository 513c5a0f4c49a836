const EMPTY = Buffer.alloc(0);

/**
 * Bytes that arrived and are not used yet. One big piece is kept as it came; many small ones are copied together with
 * spare room, so a peer that sends single bytes costs O(1) each, in time and in memory.
 */
export class Bytes {
  private buffer: Buffer = EMPTY;
  private start = 0;
  private end = 0;
  private expected = 0;
  /** Whether `buffer` was allocated here; one that came from a socket has no room and may be shared. */
  private owned = false;

  get length(): number {
    return this.end - this.start;
  }

  /** How many bytes will come in all; no more than that is allocated for them. */
  expect(length: number): void {
    this.expected = length;
  }

  /** Memory in use, including the spare room. */
  get capacity(): number {
    return this.buffer.length;
  }

  append(piece: Buffer): void {
    if (this.start === this.end) {
      this.buffer = piece;
      this.start = 0;
      this.end = piece.length;
      this.owned = false;
      return;
    }
    if (!this.owned || this.end + piece.length > this.buffer.length) this.grow(piece.length);
    piece.copy(this.buffer, this.end);
    this.end += piece.length;
  }

  /** All bytes, not copied; valid until the next `append`. */
  view(): Buffer {
    return this.start === 0 && this.end === this.buffer.length
      ? this.buffer
      : this.buffer.subarray(this.start, this.end);
  }

  consume(count: number): void {
    this.start += count;
    if (this.start === this.end) this.clear();
  }

  clear(): void {
    this.buffer = EMPTY;
    this.start = 0;
    this.end = 0;
    this.owned = false;
  }

  private grow(extra: number): void {
    const length = this.length;
    const spare = Math.max(4096, 2 * (length + extra));
    const needed = this.expected >= length + extra ? Math.min(spare, this.expected) : spare;
    const larger = Buffer.allocUnsafeSlow(needed);
    this.buffer.copy(larger, 0, this.start, this.end);
    this.buffer = larger;
    this.start = 0;
    this.end = length;
    this.owned = true;
  }
}

/** Memory shared by all clients of one proxy: for what they send and it has to hold, and for what is made of that. */
export class Budget {
  private used = 0;
  private readonly limit: number;

  /** @param limit in bytes */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** False: there is no room for this many bytes more. */
  reserve(bytes: number): boolean {
    if (this.used + bytes > this.limit) return false;
    this.used += bytes;
    return true;
  }

  /** For uses that cannot do without: beyond the limit, too. */
  take(bytes: number): void {
    this.used += bytes;
  }

  release(bytes: number): void {
    this.used -= bytes;
  }
}

/** Lines of JSON about single identities, ids only, as far as they fit beside a checkpoint. */
export interface Report {
  add(line: object): void;
  /** Lines so far. */
  readonly lines: number;
  /** Some did not fit. */
  readonly truncated: boolean;
  text(): string;
}

/**
 * @param limit bytes at most
 * @param text of an earlier run, of which the first `lines` lines still hold
 */
export function createReport(limit: number, text: string, lines: number): Report {
  const kept = text
    .split('\n')
    .slice(0, lines)
    .filter((line) => line !== '');
  let content = kept.map((line) => `${line}\n`).join('');
  let count = kept.length;
  let bytes = Buffer.byteLength(content);
  let truncated = false;
  return {
    add(line) {
      const json = `${JSON.stringify(line)}\n`;
      const size = Buffer.byteLength(json);
      if (truncated || bytes + size > limit) {
        truncated = true;
        return;
      }
      bytes += size;
      count += 1;
      content += json;
    },
    get lines() {
      return count;
    },
    get truncated() {
      return truncated;
    },
    text: () => content,
  };
}

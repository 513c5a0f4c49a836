/** Lines of JSON about single identities, with ids only, as many as fit next to a checkpoint. */
export interface Report {
  add(line: object): void;
  /** Lines so far. */
  readonly lines: number;
  /** Some lines did not fit. */
  readonly truncated: boolean;
  text(): string;
}

/**
 * @param limit maximum number of bytes
 * @param text of an earlier run, whose first `lines` lines are still valid
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

/**
 * Preloaded into a process (`--import`), it steps that process's wall clock on SIGWINCH, which has no other effect,
 * by the milliseconds in the file $STEPPING_CLOCK. The monotonic clock is unchanged.
 */
import { readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const file = process.env['STEPPING_CLOCK'];
if (file !== undefined && isMainThread) {
  const RealDate = Date;
  let offset = 0;
  class SteppedDate extends RealDate {
    constructor(...values: [] | [number]) {
      if (values.length === 0) super(SteppedDate.now());
      else super(...values);
    }
    static override now(): number {
      return RealDate.now() + offset;
    }
  }
  globalThis.Date = SteppedDate as DateConstructor;
  process.on('SIGWINCH', () => {
    offset = Number(readFileSync(file, 'utf8'));
  });
}

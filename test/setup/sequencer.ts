import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { ROOT } from './import-graph.ts';

/**
 * Seconds that files take on two cores, until this machine has run them: the first match. Rough values are
 * enough, because they only decide the order.
 */
const ESTIMATES: readonly (readonly [path: RegExp, seconds: number])[] = [
  [/^test\/e2e\/(faults|soak)\.test/, 250],
  [
    /^test\/e2e\/(bad-input|newcomer|verify-corruptions|operator-(faults|crash|stale))\.|^test\/chart\/install|\/stream-losses/,
    150,
  ],
  [/^test\/e2e\/(newcomer-web|replay-faults)|^test\/integration\/applier-(fair|wide|faults|idle)/, 90],
  [/^test\/e2e\/[^/]+$|\/verify-range|edge-migration\/stream\.test/, 60],
  [/^test\/integration\/(applier|large-|sidecar|clock-skew|console-page)|^operator\/copy\/worker|^bin\/copy/, 30],
  [
    /^test\/(cluster|differential)\/|^identity\/(converge|core\/pages|edge\/failover)|\/(publisher|consumer|outage)\.test/,
    20,
  ],
  [/^test\/|^identity\/|^kubernetes\/|^operator\/(check|verify)\/|^replay-sidecar\/applier\/consume/, 5],
];

/** Runs the longest files first, so that no worker is left with a long one while the others are idle. */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const seconds = new Map(files.map((file) => [file, this.#durationOf(file)]));
    const durationOf = (file: TestSpecification) => seconds.get(file) ?? 0;
    return [...files].sort((one, other) => durationOf(other) - durationOf(one));
  }

  #durationOf(file: TestSpecification): number {
    const measured = this.ctx.cache.getTestSpecificationResult(file)?.duration;
    if (measured !== undefined) return measured / 1000;
    const path = relative(ROOT, file.moduleId);
    return ESTIMATES.find(([pattern]) => pattern.test(path))?.[1] ?? 0.1;
  }
}

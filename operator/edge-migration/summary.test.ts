import { expect, test } from 'vitest';
import { decide } from './decide.ts';
import { copiedWork, NOON, visitedFacts } from './testing/facts.ts';

test('the status stays small with messages of any length, even when the audit is first named in it', () => {
  const copied = { ...visitedFacts({ work: copiedWork() }), now: NOON + 60_000 };
  for (let length = 0; length <= 1200; length += 1) {
    const unknown = { kind: 'unknown', reason: 'StreamUnreachable', message: 'x'.repeat(length) } as const;
    const { status } = decide({ ...copied, capture: unknown, replay: unknown });
    expect(status.audit).toBeDefined();
    expect(Buffer.byteLength(JSON.stringify(status)), `with messages of ${length}`).toBeLessThanOrEqual(4096);
  }
});

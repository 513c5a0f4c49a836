import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { expect, test } from 'vitest';
import { whileHolding } from './hold.ts';

const HOLD_MS = 30_000;
const { signal } = new AbortController();

test('work waits at its end for a pending renewal of the hold, which could overwrite the next save', async () => {
  const clock = createFakeClock();
  const steps: string[] = [];
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  let claims = 0;
  async function claim(own: AbortSignal): Promise<void> {
    if (++claims === 1) return;
    own.addEventListener('abort', () => steps.push('renewal given up'));
    await answered;
    steps.push('renewal answered');
  }
  const { promise: worked, resolve: finish } = Promise.withResolvers<void>();
  const work = () => worked.then(() => steps.push('work done'));
  const held = whileHolding({ clock, holdMs: HOLD_MS, claim }, signal, work);
  const letGo = held.then(() => steps.push('let go'));
  await clock.advance(HOLD_MS / 3);
  finish();
  await clock.advance(1);
  answer();
  await letGo;
  expect(steps).toEqual(['work done', 'renewal answered', 'let go']);
});

test('work is aborted if the hold cannot be renewed', async () => {
  const clock = createFakeClock();
  let claims = 0;
  const claim = async () => {
    if (++claims > 1) throw new Error('taken over');
  };
  const held = whileHolding({ clock, holdMs: HOLD_MS, claim }, signal, (_, own) => clock.sleep(HOLD_MS, own));
  const ended = expect(held).rejects.toThrow('taken over');
  await clock.advance(HOLD_MS / 3);
  await ended;
});

import type { StreamState } from '@edge-migration/contract/streams/watermark.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { describe, expect, test } from 'vitest';
import { createWitness } from './witness.ts';

/** The stream at second `time`, when its last message was stored; a clock that is never set back shows `elapsed`. */
function at(sequence: number, time: number, { elapsed = time, created = 'then' } = {}): StreamState {
  const moment = { wall: elapsed * 1000, monotonic: elapsed * 1000 };
  const last = { sequence, time: time * 1000 };
  return { created, last, oldest: undefined, time: time * 1000, asked: moment, answered: moment };
}

function createRig() {
  const rig = { now: 0, losses: 0 };
  const witness = createWitness({
    stream: 'events',
    now: () => rig.now * 1000,
    onLoss: () => void rig.losses++,
    logger: createLogger('test', 'silent'),
  });
  return { rig, witness };
}

const seconds = (time: number) => new Date(time * 1000).toISOString();

describe('an applier', () => {
  test('finds no loss in messages that are delivered again, late or out of order', () => {
    const { rig, witness } = createRig();
    witness.observe(at(10, 100));
    witness.observe(at(20, 102));
    for (const [sequence, time] of [
      [20, 102],
      [3, 90],
      [21, 103],
      [10, 100],
      [15, 101],
    ] as const)
      witness.see({ sequence, time: time * 1000 });
    expect(rig.losses).toBe(0);
    expect(witness.report()?.losses).toEqual([]);
  });

  test('finds no loss in messages from before the clock of NATS was set back, when they come again', () => {
    const { rig, witness } = createRig();
    witness.observe(at(10, 100));
    witness.see({ sequence: 11, time: 101_000 });
    // The answer to a question from before that.
    witness.observe(at(10, 100));
    witness.observe(at(12, 97));
    witness.see({ sequence: 11, time: 101_000 });
    expect(rig.losses).toBe(0);
  });

  test('finds no loss in messages stored between two checks, before the clock of NATS was set back', () => {
    const { rig, witness } = createRig();
    witness.observe(at(10, 100));
    witness.observe(at(12, 97, { elapsed: 102 }));
    witness.see({ sequence: 11, time: 101_000 });
    witness.observe(at(14, 120, { elapsed: 125 }));
    witness.see({ sequence: 11, time: 101_000 });
    expect(rig.losses).toBe(0);
  });

  test('finds no loss in messages stored before the first check by another server, whose clock was seconds ahead', () => {
    const { rig, witness } = createRig();
    witness.observe(at(10, 97));
    witness.see({ sequence: 9, time: 101_000 });
    expect(rig.losses).toBe(0);
  });

  test('finds no loss when a replica leads that has caught up, and gives another time for a last message that is gone', () => {
    const { rig, witness } = createRig();
    witness.observe(at(20, 100));
    for (const last of ['0001-01-01T00:00:00Z', seconds(90), seconds(130)])
      witness.observe({ ...at(20, 131), last: { sequence: 20, time: Date.parse(last) } });
    expect(rig.losses).toBe(0);
  });

  test('finds another message in place of the last one of a check, although the clock of NATS was set back', () => {
    const { rig, witness } = createRig();
    witness.observe(at(10, 100));
    witness.observe(at(12, 70, { elapsed: 102 }));
    witness.see({ sequence: 10, time: 69_000 });
    expect(rig.losses).toBe(1);
  });

  test('finds a message in place of another one, once, although the stream is far beyond by then', () => {
    const { rig, witness } = createRig();
    witness.observe(at(8, 80));
    witness.observe(at(28, 100));
    rig.now = 120;
    witness.observe(at(60, 119));
    for (let sequence = 9; sequence <= 60; sequence++) witness.see({ sequence, time: 118_000 + sequence });
    expect(rig.losses).toBe(1);
    expect(witness.report()?.losses).toEqual([{ from: seconds(80), until: seconds(120) }]);
  });

  test.each<[string, StreamState]>([
    ['has a lower last sequence', at(9, 120)],
    ['was made at another time', at(60, 120, { created: 'later' })],
  ])('finds a loss when the stream %s', (_, state) => {
    const { rig, witness } = createRig();
    witness.observe(at(28, 100));
    witness.observe(state);
    expect([rig.losses, witness.report()?.losses.length]).toEqual([1, 1]);
  });

  test('finds a loss by the sequence of a message that it publishes, unless that is a duplicate', () => {
    const { rig, witness } = createRig();
    witness.observe(at(28, 100));
    const [first, second] = [witness.publishing(), witness.publishing()];
    first({ seq: 9, duplicate: true });
    expect(rig.losses).toBe(0);
    first({ seq: 9, duplicate: false });
    second({ seq: 10, duplicate: false });
    expect(rig.losses).toBe(1);
  });

  test('reports the lowest sequence of each second of the newest two minutes, even from before its first check', () => {
    const { witness } = createRig();
    for (let time = 200; time > 0; time--)
      for (const more of [2, 1, 3]) witness.see({ sequence: time * 10 + more, time: time * 1000 + more });
    witness.observe(at(1, 0));
    const places = witness.report()?.places ?? [];
    expect(places).toHaveLength(120);
    expect(places[0]).toEqual({ sequence: 2001, time: seconds(200.001) });
  });
});

import { describe, expect, it } from 'vitest';
import { type Condition, findCondition, setConditions } from './conditions.ts';

const noon = Date.parse('2026-01-01T12:00:00.750Z');
const ready: Condition = {
  type: 'Ready',
  status: 'False',
  reason: 'Starting',
  message: 'wait',
  lastTransitionTime: '2025-12-31T00:00:00Z',
  observedGeneration: 1,
};

describe('conditions', () => {
  it('conditions change their transition time with the status, to whole seconds', () => {
    const [condition] = setConditions(
      [ready],
      [{ type: 'Ready', status: 'True', reason: 'Done', message: '' }],
      2,
      noon,
    );
    expect(condition).toEqual({
      type: 'Ready',
      status: 'True',
      reason: 'Done',
      message: '',
      lastTransitionTime: '2026-01-01T12:00:00Z',
      observedGeneration: 2,
    });
  });

  it('conditions keep their transition time when only reason, message or generation change', () => {
    const observed = [{ type: 'Ready', status: 'False', reason: 'Slow', message: 'still' }] as const;
    expect(setConditions([ready], observed, 3, noon)[0]).toMatchObject({
      reason: 'Slow',
      message: 'still',
      lastTransitionTime: ready.lastTransitionTime,
      observedGeneration: 3,
    });
  });

  it('conditions keep their places, including those not observed', () => {
    const observed = ['C', 'A'].map((type) => ({ type, status: 'True' as const, reason: 'R', message: '' }));
    const previous = ['A', 'B'].map((type) => ({ ...ready, type }));
    expect(setConditions(previous, observed, 1, noon).map(({ type }) => type)).toEqual(['A', 'B', 'C']);
    expect(previous[0]?.status).toBe('False');
  });

  it('conditions stay the same when the same is observed again', () => {
    const { type, status, reason, message } = ready;
    expect(setConditions([ready], [{ type, status, reason, message }], 1, noon)).toEqual([ready]);
  });

  it('conditions are found by type', () => {
    expect(findCondition([ready], 'Ready')).toBe(ready);
    expect(findCondition([], 'Ready')).toBeUndefined();
  });
});

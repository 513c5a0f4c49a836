import { describe, expect, test } from 'vitest';
import { compareOverrideRows, type Violation } from './judgement.ts';

const EDGE_FEATURE = 14;

const override = (feature: number, enabled = true) => ({
  M: { feature: { M: { id: { N: String(feature) } } }, enabled: { BOOL: enabled } },
});
const row = (feature: number, uuid = 'u') => ({
  environment_id: { S: '1' },
  document_key: { S: `identity_override:${feature}:${uuid}` },
  environment_api_key: { S: 'key' },
  identifier: { S: 'ada' },
  feature_state: override(feature),
});
const ada = (...overrides: ReturnType<typeof override>[]) =>
  new Map([['key_ada', { identity_uuid: { S: 'u' }, identity_features: { L: overrides } }]]);
const kindsOf = (violations: readonly Violation[]) => violations.map(({ kind, key }) => `${kind} of ${key}`);

describe('rows of overrides', () => {
  test('are to repeat the overrides that Core has', () => {
    expect(compareOverrideRows(ada(override(5)), [row(5)], EDGE_FEATURE)).toEqual([]);
    expect(kindsOf(compareOverrideRows(ada(override(5)), [], EDGE_FEATURE))).toEqual(['override rows of key_ada']);
    expect(kindsOf(compareOverrideRows(ada(override(5, false)), [row(5)], EDGE_FEATURE))).toEqual([
      'override rows of key_ada',
    ]);
    expect(kindsOf(compareOverrideRows(ada(), [row(5)], EDGE_FEATURE))).toEqual(['override rows of key_ada']);
  });

  test('may be missing or differ where Edge clients alone have set the override', () => {
    expect(compareOverrideRows(ada(override(EDGE_FEATURE)), [], EDGE_FEATURE)).toEqual([]);
    expect(compareOverrideRows(ada(override(EDGE_FEATURE, false)), [row(EDGE_FEATURE)], EDGE_FEATURE)).toEqual([]);
  });

  test('that are left of such an override are no difference from Core', () => {
    expect(kindsOf(compareOverrideRows(ada(), [row(EDGE_FEATURE)], EDGE_FEATURE))).toEqual([
      'edge row left of key_ada',
    ]);
    const ofAnother = [row(EDGE_FEATURE), row(EDGE_FEATURE, 'before')];
    expect(kindsOf(compareOverrideRows(ada(override(EDGE_FEATURE)), ofAnother, EDGE_FEATURE))).toEqual([
      'edge row left of key_ada',
    ]);
  });

  test('are told from the other items of the table', () => {
    const environment = { environment_id: { S: '1' }, document_key: { S: '_META' } };
    expect(compareOverrideRows(ada(), [environment], EDGE_FEATURE)).toEqual([]);
  });
});

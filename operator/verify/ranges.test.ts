import { expect, test } from 'vitest';
import { addEdge, listVerifySegments, type VerifySegment } from './ranges.ts';

const core = (environmentId: number, after: string | null, until: string | null) => ({ environmentId, after, until });

test('both directions are divided without gaps or overlaps, each in its own order', () => {
  // In the database's collation `b` may come before `C`; by bytes it does not.
  const ranges = addEdge([
    { rangeId: 0, identities: 10, segments: [core(1, null, 'b')] },
    { rangeId: 1, identities: 10, segments: [core(1, 'b', 'C')] },
    { rangeId: 2, identities: 10, segments: [core(1, 'C', null), core(2, null, null)] },
  ]);
  const of = (kind: VerifySegment['kind'], environmentId: number) =>
    ranges
      .flatMap(({ segments }) => segments)
      .filter((segment) => segment.kind === kind && segment.environmentId === environmentId)
      .map(({ after, until }) => [after, until]);
  expect(of('core', 1)).toEqual([
    [null, 'b'],
    ['b', 'C'],
    ['C', null],
  ]);
  expect(of('documents', 1)).toEqual([
    [null, 'C'],
    ['C', 'b'],
    ['b', null],
  ]);
  expect(of('documents', 2)).toEqual([[null, null]]);
  expect(of('rows', 1)).toHaveLength(1);
  expect(of('rows', 2)).toHaveLength(1);
  expect(ranges.map(({ identities }) => identities)).toEqual([10, 10, 10]);
});

test('identifiers too long for an index are not used as boundaries, and everything is still covered', () => {
  const long = 'x'.repeat(2000);
  const ranges = addEdge([
    { rangeId: 0, identities: 1, segments: [core(1, null, long)] },
    { rangeId: 1, identities: 1, segments: [core(1, long, null)] },
  ]);
  const documents = ranges.flatMap(({ segments }) => segments).filter(({ kind }) => kind === 'documents');
  expect(documents).toEqual([{ kind: 'documents', environmentId: 1, after: null, until: null }]);
});

test("another region's documents and rows come after everything else, without Core's identities", () => {
  const [range] = addEdge([{ rangeId: 0, identities: 1, segments: [core(1, null, null)] }]);
  const segments = listVerifySegments(range!, ['us-east-2', 'sa-east-1']);
  expect(segments.map(({ kind, region }) => [kind, region])).toEqual([
    ['core', undefined],
    ['documents', undefined],
    ['rows', undefined],
    ['documents', 'us-east-2'],
    ['rows', 'us-east-2'],
    ['documents', 'sa-east-1'],
    ['rows', 'sa-east-1'],
  ]);
});

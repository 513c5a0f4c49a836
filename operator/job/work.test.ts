import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { expect, test } from 'vitest';
import { workerConfiguration } from '../copy/worker/configuration.ts';
import { migration } from '../edge-migration/testing/facts.ts';
import { verifyConfiguration } from '../verify/worker/configuration.ts';
import { createCopyWork, createVerifyWork, writeWork } from './work.ts';

const source = {
  migration: migration({}, { copy: { onConflict: 'CoreWins' }, verify: { clearIdentifiers: true } }),
  namespace: 'edge-migration',
  settingsName: 'root',
  rangeIds: [3, 7],
  lateWriteSeconds: 65,
};

/** The installation's part of a pod's environment. */
const environment = {
  EDGE_MIGRATION_DATABASE_URL: 'postgres://reader:secret@core/flagsmith',
  EDGE_MIGRATION_RANGES_DIRECTORY: '/ranges',
  EDGE_MIGRATION_RANGE_INDEX: '1',
};

const copyWork = createCopyWork({ ...source, operation: 'copy' }, { pageMaxAgeSeconds: 30 });

test('a copy pod reads the work that the operator has written', () => {
  const { work } = parseEnvironment(workerConfiguration, { ...environment, EDGE_MIGRATION_WORK: writeWork(copyWork) });
  expect(work).toEqual(copyWork);
  expect(work).toMatchObject({ projectId: 42, rangeIds: [3, 7], mode: 'Migrate', pageMaxAgeSeconds: 30 });
});

test('pods of a plan are in mode Plan, which writes nothing', () => {
  expect(createCopyWork({ ...source, operation: 'plan' }, { pageMaxAgeSeconds: 30 }).mode).toBe('Plan');
});

test('a verify pod reads the work that the operator has written', () => {
  const work = createVerifyWork({ ...source, operation: 'verify-1' }, { mode: 'Repair', authority: 'Edge' });
  const text = writeWork(work);
  expect(parseEnvironment(verifyConfiguration, { ...environment, EDGE_MIGRATION_WORK: text }).work).toEqual(work);
  expect(work).toMatchObject({ mode: 'Repair', authority: 'Edge', onConflict: 'CoreWins', clearIdentifiers: true });
});

test('the work in a variable contains nothing that Kubernetes would expand', () => {
  const text = writeWork({ ...copyWork, settingsName: '$(HOME)' });
  expect(text).not.toContain('$');
  expect(JSON.parse(text)).toMatchObject({ settingsName: '$(HOME)' });
});

test.each<[string, string, string]>([
  ['invalid JSON', 'classified', 'EDGE_MIGRATION_WORK is invalid: must be a JSON document'],
  ['another value', JSON.stringify({ ...copyWork, mode: 'classified' }), 'EDGE_MIGRATION_WORK is invalid: mode: '],
  ['another type', JSON.stringify({ ...copyWork, rangeIds: ['classified'] }), 'rangeIds.0: Invalid input'],
  ['a missing field', JSON.stringify({ ...copyWork, namespace: undefined }), 'namespace: Invalid input'],
  ['a field of another release', JSON.stringify({ ...copyWork, depth: 'classified' }), 'Unrecognized key: "depth"'],
])('work with %s is refused with the name of the field, but without its value', (_, text, words) => {
  const parse = () => parseEnvironment(workerConfiguration, { ...environment, EDGE_MIGRATION_WORK: text });
  expect(parse).toThrow(words);
  expect(parse).not.toThrow('classified');
});

test('a pod without work in its environment reports that', () => {
  expect(() => parseEnvironment(workerConfiguration, environment)).toThrow('EDGE_MIGRATION_WORK must be set');
});

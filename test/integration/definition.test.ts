import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { renderDefinition } from '../../scripts/crd.ts';

const FILE = new URL('../../crds/edgemigrations.edge.flagsmith.com.yaml', import.meta.url);

test('the committed CRD matches the schema (else: node scripts/crd.ts)', () => {
  expect(readFileSync(FILE, 'utf8')).toBe(renderDefinition());
});

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { renderReference } from '../../scripts/api-reference.ts';

const PAGE = new URL('../../docs/api-reference.md', import.meta.url);

test('the API reference matches the CRD (else: node scripts/api-reference.ts)', () => {
  expect(readFileSync(PAGE, 'utf8')).toBe(renderReference());
});

test('the API reference has every field, with its bounds and default', () => {
  const page = renderReference();
  expect(page).toContain('| `spec.copy.parallelism` | integer, 1 to 64, default `4` |');
  expect(page).toContain('| `spec.projectId` | integer, required, 1 to 2147483647 |');
  expect(page).toMatch(/`status\.gaps\[\]\.from` \| time, required/);
});

import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { compareExports } from '../../scripts/exports.ts';

it('compareExports lists what others import, first the product’s imports, and calls the rest needless', async () => {
  const root = mkdtempSync(join(tmpdir(), 'exports-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const exported = { './a.ts': './a.ts', './gone.ts': './gone.ts' };
  const files: Record<string, string> = {
    'package.json': JSON.stringify({ workspaces: ['lower', 'upper', 'test'] }),
    'lower/package.json': JSON.stringify({ name: '@edge-migration/lower', exports: exported }),
    'upper/package.json': JSON.stringify({ name: '@edge-migration/upper' }),
    'test/package.json': JSON.stringify({ name: '@edge-migration/test', exports: { './*': './*' } }),
    'upper/z.ts': "import type { Z } from '@edge-migration/lower/z.ts';",
    'upper/z.test.ts':
      "import {\n  b,\n} from '@edge-migration/lower/b.ts';\nawait import('@edge-migration/lower/z.ts');",
    'test/x.ts': "import '@edge-migration/lower/a.ts';",
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const [lower, upper, ...others] = compareExports(root);
  expect(others).toEqual([]);
  expect(lower).toMatchObject({ missing: ['./z.ts', './b.ts'], needless: ['./gone.ts'] });
  expect(Object.keys(lower?.wanted ?? {})).toEqual(['./z.ts', './a.ts', './b.ts']);
  expect(upper).toMatchObject({ wanted: {}, missing: [], needless: ['./*'] });
});

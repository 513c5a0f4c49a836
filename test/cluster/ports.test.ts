import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

import { freePort } from './ports.ts';

it('a port is given to one process only, so that clients of a stopped service never reach another one', async () => {
  const script = `
    import { freePort } from ${JSON.stringify(new URL('./ports.ts', import.meta.url).href)};
    const ports = [];
    for (let n = 0; n < 40; n++) ports.push(await freePort());
    console.log(JSON.stringify(ports));`;
  const args = ['--input-type=module', '--eval', script];
  const runs = await Promise.all([1, 2, 3].map(() => promisify(execFile)(process.execPath, args)));
  const ports: number[] = runs.flatMap(({ stdout }) => JSON.parse(stdout) as number[]);
  ports.push(await freePort());
  expect(new Set(ports).size).toBe(121);
});

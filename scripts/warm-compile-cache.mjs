/**
 * Fills Node's compile cache while the image is built: loads every module of the processes, but for the `main.ts` that
 * would start them.
 */
import { globSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { resolve } from 'node:path';

const modules = globSync('{identity,operator,replay-sidecar}/**/*.ts').filter((file) => !file.endsWith('/main.ts'));
for (const module of modules) await import(resolve(module));
flushCompileCache();
process.stdout.write(`${modules.length} modules\n`);
// What modules may have opened does not matter any more.
process.exit();

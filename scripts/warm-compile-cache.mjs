/**
 * Fills Node's compile cache while the image is built: loads every module of the processes, but for those in bin/, which
 * would start them. Argument: the folders of the modules, as a pattern.
 */
import { globSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { resolve } from 'node:path';

const [folders = '{console,contract,identity,kubernetes,operator,replay-sidecar,runtime}'] = process.argv.slice(2);
const modules = globSync(`${folders}/**/*.ts`);
for (const module of modules) await import(resolve(module));
flushCompileCache();
process.stdout.write(`${modules.length} modules\n`);
// What modules may have opened does not matter any more.
process.exit();

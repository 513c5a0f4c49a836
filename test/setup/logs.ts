/** Sets the folder where `removeFolder` keeps the logs of this file's services and pods; the reporter cleans up. */
import { rmSync } from 'node:fs';
import { expect } from 'vitest';
import { logsOf } from './test-logs.ts';

const { testPath } = expect.getState();
if (testPath === undefined) throw new Error('Vitest does not say which file it runs');
process.env['TEST_LOGS'] = logsOf(testPath, process.env['TEST_VARIANT']);
rmSync(process.env['TEST_LOGS'], { recursive: true, force: true });

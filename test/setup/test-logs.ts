import { join, relative } from 'node:path';
import { ROOT } from './import-graph.ts';

/** The logs of the last run's failed tests; passing tests leave nothing. */
const FOLDER = join(ROOT, '.cache/test-logs');

/** The logs of the services shared by all files of the last run. */
export const SHARED_LOGS = join(FOLDER, 'shared-services');

/**
 * Folder of the logs of a test file, given by its absolute path.
 *
 * @param variant of the project, where a second one runs the same files at the same time: `TEST_VARIANT`
 */
export function logsOf(file: string, variant = ''): string {
  return join(FOLDER, variant, relative(ROOT, file));
}

import { readFile } from 'node:fs/promises';
import { ConfigurationError } from '@edge-migration/runtime/configuration.ts';
import type { OperatorConfiguration } from '../config.ts';
import type { ActionContext } from '../edge-migration/act/context.ts';
import { type WorkerTemplate, workerTemplateSchema } from '../edge-migration/objects.ts';

/**
 * The templates of the workers' pods.
 *
 * @throws ConfigurationError if one cannot be used
 */
export async function readTemplates({
  workerTemplateFile,
  verifyTemplateFile,
}: OperatorConfiguration): Promise<Pick<ActionContext, 'template' | 'verifyTemplate'>> {
  const template = await readTemplate(workerTemplateFile);
  const verifyTemplate = verifyTemplateFile === undefined ? template : await readTemplate(verifyTemplateFile);
  return { template, verifyTemplate };
}

async function readTemplate(file: string): Promise<WorkerTemplate> {
  try {
    return workerTemplateSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    throw new ConfigurationError(`the worker's pod template ${file} cannot be used: ${(cause as Error).message}`, {
      cause,
    });
  }
}

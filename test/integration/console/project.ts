import { waitFor } from '../../cluster/wait.ts';
import { type Account, call, type Stage } from './stage.ts';

let latest = 200_000;

/** One that no other test has. */
export const newProjectId = (): number => ++latest;

/** Of a project, in the console's API. */
export const path = (projectId: number, rest = '') => `/api/v1/projects/${projectId}/${rest}`;

/** Whether the project's EdgeMigration is suspended. */
export const isSuspended = async (stage: Stage, projectId: number): Promise<boolean> =>
  ((await stage.migration(projectId))?.['spec'] as { suspend?: boolean } | undefined)?.suspend ?? false;

/** A new project that the caller can see in the console at this URL, by its token or by these headers. */
export async function prepareProject(
  stage: Stage,
  { token }: Pick<Account, 'token'>,
  url = stage.url,
  headers: Record<string, string> = {},
): Promise<number> {
  const projectId = newProjectId();
  await stage.create(projectId);
  const isSeen = async () => {
    const options = Object.keys(headers).length > 0 ? { headers } : { token };
    return (await call(url, path(projectId), options)).status === 200;
  };
  await waitFor(isSeen, { for: `project ${projectId} in the console` });
  return projectId;
}

import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import { createTestProject, type TestProject } from '../../../copy/worker/testing/project.ts';

export const IDENTITIES = 300;
export const UNMIGRATABLE = 6;

/** A project whose identities were just copied, with a few that cannot be. */
export async function createCopiedProject(): Promise<TestProject> {
  const project = await createTestProject({ identities: IDENTITIES, unmigratable: UNMIGRATABLE / IDENTITIES });
  await project.copy();
  return project;
}

/** Documents, those with the most overrides first, and the environment of each. */
export async function listDocuments(project: TestProject): Promise<{ item: Item; environmentId: number }[]> {
  const items = await project.tables.scan();
  const size = (item: Item) => item['identity_features']?.L?.length ?? 0;
  return items
    .filter((item) => size(item) > 0 || (item['identity_traits']?.L?.length ?? 0) > 1)
    .sort((a, b) => size(b) - size(a) || a['composite_key']!.S!.localeCompare(b['composite_key']!.S!))
    .map((item) => ({ item, environmentId: environmentOf(project, item) }));
}

function environmentOf(project: TestProject, item: Item): number {
  const key = item['environment_api_key']?.S;
  return project.stores.project.environments.find(({ apiKey }) => apiKey === key)!.id;
}

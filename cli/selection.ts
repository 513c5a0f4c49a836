import {
  EDGE_MIGRATIONS,
  type EdgeMigration,
  nameOf,
  parseEdgeMigration,
  titleOf,
} from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import type { Cluster } from './cluster.ts';
import { CommandError, EXIT } from './exit.ts';

/** The EdgeMigrations that a command applies to. */
export interface Selection {
  /** Empty: all that match the selector. */
  readonly projects: readonly number[];
  readonly labelSelector?: string | undefined;
  readonly allNamespaces: boolean;
}

export interface Selected {
  readonly migration: EdgeMigration;
  /** As the API server sent it, for `-o json`. */
  readonly object: KubernetesObject;
}

/** @param text `42`, `project-42`, or `edgemigration/project-42` as printed by `kubectl get -o name` */
export function parseProjectArgument(text: string): number {
  const [, digits] = /^(?:(?:em|ems|edgemigrations?)(?:\.[a-z0-9.]+)?\/)?(?:project-)?(\d{1,10})$/.exec(text) ?? [];
  const id = Number(digits);
  if (digits === undefined || id < 1 || id > 2_147_483_647)
    throw new CommandError(EXIT.usage, `${text} is not a project: give its id in Core, such as 42, or project-42`);
  return id;
}

/**
 * The EdgeMigrations of a selection, by namespace and project.
 *
 * @throws CommandError (not found) if one of the projects has none; ApiError
 */
export async function select(cluster: Cluster, selection: Selection, signal: AbortSignal): Promise<Selected[]> {
  const { projects, labelSelector, allNamespaces } = selection;
  const isSearch = allNamespaces || labelSelector !== undefined || projects.length === 0;
  const objects = isSearch ? await search(cluster, selection, signal) : await getAll(cluster, projects, signal);
  const missing = projects.filter((id) => !objects.some(({ metadata }) => metadata.name === nameOf(id)));
  if (missing.length > 0) {
    const where = allNamespaces ? 'any namespace' : `namespace ${cluster.namespace}`;
    const names = missing.map(nameOf).join(', ');
    throw new CommandError(EXIT.notFound, `no EdgeMigration ${names} in ${where}; \`list -A\` shows all`);
  }
  const compare = new Intl.Collator('en', { numeric: true }).compare;
  return objects
    .map((object) => ({ object, migration: parseEdgeMigration(object) }))
    .toSorted((a, b) => compare(titleOf(a.migration), titleOf(b.migration)));
}

async function getAll({ client, namespace }: Cluster, projects: readonly number[], signal: AbortSignal) {
  const get = (id: number) => client.get(EDGE_MIGRATIONS, { namespace, name: nameOf(id) }, { signal });
  const objects: KubernetesObject[] = [];
  for (const id of new Set(projects)) {
    const object = await get(id);
    if (object !== undefined) objects.push(object);
  }
  return objects;
}

async function search({ client, namespace }: Cluster, selection: Selection, signal: AbortSignal) {
  const { projects, labelSelector, allNamespaces } = selection;
  const scope = allNamespaces ? {} : { namespace };
  const { items } = await client.list(EDGE_MIGRATIONS, { ...scope, labelSelector }, { signal });
  return projects.length === 0 ? items : items.filter(({ metadata }) => projects.map(nameOf).includes(metadata.name));
}

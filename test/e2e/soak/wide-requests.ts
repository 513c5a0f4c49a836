import type { ChosenRequest } from './core-clients.ts';
import type { CoreRequest } from './core-requests.ts';
import type { Population } from './population.ts';
import type { Random } from './random.ts';

/**
 * Requests that change many identities at once, in the order of sending; `after` is the share of the run
 * that must have passed. Late in the run one environment gets another client key, and another is deleted. Core deletes an
 * environment table by table: one interrupted half-way is in no state that Edge could have (docs/limits.md).
 */
export function createWideRequests(random: Random, population: Population) {
  const { project, disposableFeatures } = population;
  const options = `projects/${project.projectId}/features/${project.features.checkout}/mv-options/`;
  /** The required fields of every write of an option. */
  const option = { feature: project.features.checkout, type: 'unicode', default_percentage_allocation: 0 };
  const [, second, third] = project.environments;
  const keyOf = (id: number | undefined) => population.current().environments.find((each) => each.id === id)?.apiKey;

  const deleteKey = (): CoreRequest | undefined => {
    const { apiKey } = random.pick(population.current().environments);
    const path = `environments/${apiKey}/delete-traits/`;
    return { route: 'POST delete-traits', method: 'POST', path, body: { key: 'campaign' } };
  };
  const changeOption = (): CoreRequest | undefined => {
    const id = population.current().options[0];
    const body = { ...option, string_value: `option ${random.integer(1, 999)}` };
    return id === undefined ? undefined : { route: 'PATCH mv-option', method: 'PATCH', path: `${options}${id}/`, body };
  };
  const addOption = (): CoreRequest => {
    const body = { ...option, string_value: 'added' };
    return { route: 'POST mv-option', method: 'POST', path: options, body };
  };
  const removeOption = (): CoreRequest | undefined => {
    const id = population.current().options.at(-1);
    return id === undefined ? undefined : { route: 'DELETE mv-option', method: 'DELETE', path: `${options}${id}/` };
  };
  const deleteEverywhere = (): CoreRequest | undefined => {
    const trait = population.current().traits[0];
    if (trait === undefined) return undefined;
    const { apiKey, identityId, id } = trait;
    const path = `environments/${apiKey}/identities/${identityId}/traits/${id}/?deleteAllMatchingTraits=true`;
    return { route: 'DELETE trait everywhere', method: 'DELETE', path };
  };
  const deleteFeature = (index: number) => (): CoreRequest => {
    const path = `projects/${project.projectId}/features/${disposableFeatures[index]}/`;
    return { route: 'DELETE feature', method: 'DELETE', path };
  };
  const renameKey = (): CoreRequest | undefined => {
    const key = keyOf(second?.id);
    const body = { name: second?.name, api_key: `renamed-${second?.id}` };
    return (key && { route: 'PATCH environment', method: 'PATCH', path: `environments/${key}/`, body }) || undefined;
  };
  const deleteEnvironment = (): CoreRequest | undefined => {
    const key = keyOf(third?.id);
    return key ? { route: 'DELETE environment', method: 'DELETE', path: `environments/${key}/` } : undefined;
  };

  /** The previous owner of an override is unknown, so every identity's is corrected. */
  const moveOverride = (): CoreRequest | undefined => {
    const { overrides, identities } = population.current();
    const override = overrides[0];
    const target = identities.find(({ apiKey }) => apiKey === override?.apiKey);
    if (override === undefined || target === undefined) return undefined;
    const body = {
      feature: override.featureId,
      environment: override.environmentId,
      identity: target.id,
      enabled: true,
    };
    const path = `features/featurestates/${override.id}/`;
    return { route: 'PUT features/featurestates/ to another identity', method: 'PUT', path, body };
  };

  const plan: [after: number, make: () => CoreRequest | undefined][] = [
    [0.05, deleteKey],
    [0.15, changeOption],
    [0.2, deleteFeature(0)],
    [0.25, deleteKey],
    [0.3, addOption],
    [0.35, moveOverride],
    [0.45, deleteEverywhere],
    [0.5, removeOption],
    [0.55, renameKey],
    [0.65, deleteEnvironment],
    [0.7, changeOption],
    [0.75, deleteFeature(1)],
    [0.8, deleteKey],
  ];

  return (share: number): ChosenRequest | undefined => {
    if (plan[0] === undefined || plan[0][0] > share) return undefined;
    const request = plan.shift()?.[1]();
    return request && { ...request, insists: true };
  };
}

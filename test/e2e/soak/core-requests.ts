import type { Population, Sample } from './population.ts';
import type { Random } from './random.ts';

/** One request to the Core API. */
export interface CoreRequest {
  /** Its kind, for counting. */
  readonly route: string;
  readonly method: string;
  /** Path after `/api/v1/`. */
  readonly path: string;
  /** Key of an SDK; administrators name the environment in the path. */
  readonly environmentKey?: string;
  readonly body?: unknown;
  /** The trait of a `shared-…` identity that Edge clients also set. */
  readonly shared?: string;
}

/** Traits that only Core's clients write, except `plan` of `shared-…` identities, which Edge clients write too. */
const TRAITS = ['plan', 'age', 'score', 'vip', 'campaign', 'visits'] as const;
const VALUES = ['gold', 'free', '007', '12.50', '', 'née 🚀', 41, -3, 0.25, 1e21, true, false] as const;
const PEOPLE = 400;
export const SHARED = 20;
export const BOTH = 40;

/** Chooses the next request of Core's clients; undefined when the choice has no target at the moment. */
export function createCoreRequests(random: Random, population: Population): () => CoreRequest | undefined {
  const { project, disposableFeatures } = population;
  const standard = [project.features.banner, project.features.beta, project.features.legacy, ...disposableFeatures];
  let renames = 0;

  const choices: [weight: number, make: (sample: Sample) => CoreRequest | undefined][] = [
    [28, identify],
    [5, (sample) => sdk(sample, 'GET identities/', 'GET', `identities/?identifier=${encodeURIComponent(person())}`)],
    [2, (sample) => sdk(sample, 'GET flags/<identifier>', 'GET', `flags/${plainPerson()}`)],
    [10, setTrait],
    [8, bulk],
    [4, increment],
    [4, setDeprecated],
    [4, createIdentity],
    [6, (sample) => aim(sample, 'DELETE identity', 'DELETE', '')],
    [2, (sample) => aim(sample, 'PATCH identity', 'PATCH', '', { identifier: `renamed-${renames++} é` })],
    [2, (sample) => aim(sample, 'POST trait', 'POST', 'traits/', typedTrait())],
    [4, changeTrait],
    [6, setOverride],
    [5, changeOverride],
    [3, removeOverride],
    [2, throughEnvironment],
    [2, simple],
    [1, clone],
    [4, share],
    [4, createBoth],
  ];

  const person = () => (random.chance(0.1) ? `per son/${random.integer(1, PEOPLE)}` : plainPerson());
  const plainPerson = () => `person-${random.integer(1, PEOPLE)}`;
  const environment = ({ environments }: Sample) =>
    random.weighted(environments.map((each, i) => [3 - i, each] as const));
  const trait = () => {
    const trait_key = random.pick(TRAITS);
    return { trait_key, trait_value: trait_key === 'visits' ? random.integer(0, 9) : random.pick(VALUES) };
  };

  function sdk(sample: Sample, route: string, method: string, path: string, body?: unknown): CoreRequest {
    const { apiKey } = environment(sample);
    return { route, method, path, environmentKey: apiKey, body };
  }

  function identify(sample: Sample): CoreRequest {
    const traits = Array.from({ length: random.integer(0, 3) }, trait);
    const unique = [...new Map(traits.map((each) => [each.trait_key, each])).values()];
    const withRemovals = unique.map((each) => (random.chance(0.2) ? { ...each, trait_value: null } : each));
    return sdk(sample, 'POST identities/', 'POST', 'identities/', { identifier: person(), traits: withRemovals });
  }

  function setTrait(sample: Sample): CoreRequest {
    return sdk(sample, 'POST traits/', 'POST', 'traits/', { identity: { identifier: person() }, ...trait() });
  }

  function bulk(sample: Sample): CoreRequest {
    const items = Array.from({ length: random.integer(1, 6) }, () => {
      const item = { identity: { identifier: person() }, ...trait() };
      return random.chance(0.25) ? { ...item, trait_value: null } : item;
    });
    return sdk(sample, 'PUT traits/bulk/', 'PUT', 'traits/bulk/', items);
  }

  function increment(sample: Sample): CoreRequest {
    const body = { identifier: person(), trait_key: 'visits', increment_by: random.integer(1, 5) };
    return sdk(sample, 'POST traits/increment-value/', 'POST', 'traits/increment-value/', body);
  }

  function setDeprecated(sample: Sample): CoreRequest {
    const path = `identities/${plainPerson()}/traits/${random.pick(TRAITS)}`;
    return sdk(sample, 'POST identities/<identifier>/traits/<key>', 'POST', path, { trait_value: random.pick(VALUES) });
  }

  function createIdentity(sample: Sample): CoreRequest {
    const path = `environments/${environment(sample).apiKey}/identities/`;
    return { route: 'POST identity', method: 'POST', path, body: { identifier: plainPerson() } };
  }

  /** Targets one of the existing identities. */
  function aim(sample: Sample, route: string, method: string, rest: string, body?: unknown): CoreRequest | undefined {
    if (sample.identities.length === 0) return undefined;
    const { apiKey, id } = random.pick(sample.identities);
    return { route, method, path: `environments/${apiKey}/identities/${id}/${rest}`, body };
  }

  function typedTrait(): object {
    const typed = [
      { value_type: 'unicode', string_value: 'typed' },
      { value_type: 'int', integer_value: random.integer(0, 99), string_value: 'stale' },
      { value_type: 'bool', boolean_value: random.chance(0.5) },
      { value_type: 'float', float_value: 2.5 },
    ];
    return { trait_key: random.pick(TRAITS), ...random.pick(typed) };
  }

  function changeTrait({ traits }: Sample): CoreRequest | undefined {
    if (traits.length === 0) return undefined;
    const { apiKey, id, identityId } = random.pick(traits);
    const path = `environments/${apiKey}/identities/${identityId}/traits/${id}/`;
    if (random.chance(0.4)) return { route: 'DELETE trait', method: 'DELETE', path };
    // Another key renames it.
    const { trait_key, ...value } = typedTrait() as { trait_key: string };
    return { route: 'PATCH trait', method: 'PATCH', path, body: random.chance(0.3) ? { trait_key, ...value } : value };
  }

  function overrideBody({ options }: Sample): { feature: number } & Record<string, unknown> {
    const enabled = random.chance(0.5);
    if (random.chance(0.6) || options.length === 0) {
      return { feature: random.pick(standard), enabled, feature_state_value: random.pick(['blue', 7, true, '007']) };
    }
    const allocation = {
      multivariate_feature_option: random.pick(options),
      percentage_allocation: random.integer(0, 100),
    };
    return { feature: project.features.checkout, enabled, multivariate_feature_state_values: [allocation] };
  }

  function setOverride(sample: Sample): CoreRequest | undefined {
    return aim(sample, 'POST override', 'POST', 'featurestates/', overrideBody(sample));
  }

  function changeOverride(sample: Sample): CoreRequest | undefined {
    if (sample.overrides.length === 0) return undefined;
    const { apiKey, id, identityId, featureId } = random.pick(sample.overrides);
    const path = `environments/${apiKey}/identities/${identityId}/featurestates/${id}/`;
    if (random.chance(0.3)) {
      return {
        route: 'PATCH override',
        method: 'PATCH',
        path,
        body: { feature: featureId, enabled: random.chance(0.5) },
      };
    }
    const body = { ...overrideBody(sample), feature: featureId };
    const other = random.chance(0.15) ? sample.identities.find((each) => each.apiKey === apiKey) : undefined;
    // It belongs to another identity from now on.
    return {
      route: 'PUT override',
      method: 'PUT',
      path,
      body: other === undefined ? body : { ...body, identity: other.id },
    };
  }

  function removeOverride({ overrides }: Sample): CoreRequest | undefined {
    if (overrides.length === 0) return undefined;
    const { apiKey, id, identityId } = random.pick(overrides);
    const path = `environments/${apiKey}/identities/${identityId}/featurestates/${id}/`;
    return { route: 'DELETE override', method: 'DELETE', path };
  }

  function throughEnvironment({ overrides }: Sample): CoreRequest | undefined {
    if (overrides.length === 0) return undefined;
    const { apiKey, id } = random.pick(overrides);
    const path = `environments/${apiKey}/featurestates/${id}/?anyIdentity=1`;
    if (random.chance(0.3)) return { route: 'DELETE environment featurestate', method: 'DELETE', path };
    const body = { enabled: random.chance(0.5), feature_state_value: random.pick(['red', 8]) };
    return { route: 'PUT environment featurestate', method: 'PUT', path, body };
  }

  function simple({ overrides }: Sample): CoreRequest | undefined {
    if (overrides.length === 0) return undefined;
    const { id, featureId, environmentId } = random.pick(overrides);
    const value = { type: 'unicode', string_value: `simple ${random.integer(1, 9)}` };
    const body = { feature: featureId, environment: environmentId, enabled: true };
    const path = `features/featurestates/${id}/`;
    return { route: 'PUT features/featurestates/', method: 'PUT', path, body: { ...body, feature_state_value: value } };
  }

  function clone(sample: Sample): CoreRequest | undefined {
    if (sample.overrides.length === 0) return undefined;
    const { apiKey, identityId } = random.pick(sample.overrides);
    const target = sample.identities.find((each) => each.apiKey === apiKey && each.id !== identityId);
    if (target === undefined) return undefined;
    const path = `environments/${apiKey}/identities/${target.id}/featurestates/clone-from-given-identity/`;
    return { route: 'POST clone', method: 'POST', path, body: { source_identity_id: identityId } };
  }

  /** Edge clients set `plan` of these, too. */
  function share({ environments }: Sample): CoreRequest | undefined {
    const shared = `shared-${random.integer(1, SHARED)}`;
    const traits = [{ trait_key: 'plan', trait_value: `core ${random.integer(1, 1e9)}` }];
    const body = { identifier: shared, traits };
    const environmentKey = environments[0]?.apiKey ?? '';
    return { route: 'POST identities/', method: 'POST', path: 'identities/', environmentKey, body, shared };
  }

  /** Edge clients create these, too. */
  function createBoth({ environments }: Sample): CoreRequest | undefined {
    const traits = [trait(), { trait_key: 'both', trait_value: random.chance(0.2) ? null : random.pick(VALUES) }];
    const body = { identifier: `both-${random.integer(1, BOTH)}`, traits };
    const environmentKey = environments[0]?.apiKey ?? '';
    return { route: 'POST identities/', method: 'POST', path: 'identities/', environmentKey, body };
  }

  return () => random.weighted(choices)(population.current());
}

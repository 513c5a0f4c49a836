import {
  createIdentity,
  createTrait,
  deleteIdentity,
  deleteTrait,
  deleteTraitKey,
  renameIdentity,
  updateTrait,
} from './effects/identities.ts';
import {
  cloneOverrides,
  createFeatureState,
  createOverride,
  deleteEnvironmentFeatureState,
  deleteOverride,
  environmentFeatureStateLookup,
  reachesOverrides,
  updateEnvironmentFeatureState,
  updateFeatureState,
  updateOverride,
} from './effects/overrides.ts';
import {
  bulkTraits,
  identify,
  incrementTrait,
  readIdentity,
  readIdentityByPath,
  readsIdentity,
  setTrait,
  setTraitByPath,
} from './effects/sdk.ts';
import {
  changeCohort,
  changeFeature,
  changeVersioning,
  deleteEnvironment,
  deleteOrganisation,
  deleteProject,
  importFeatures,
  importLaunchDarkly,
  renameEnvironment,
  saveAdminForm,
  updateFeature,
} from './effects/settings.ts';
import type { MatchedRequest, Method, Route } from './route.ts';

type Row = Pick<Route, 'name' | 'path' | 'effects'> & { methods: Method | readonly Method[] } & Partial<
    Omit<Route, 'methods'>
  >;

function route(row: Row): Route {
  return {
    end: 'exact',
    environment: row.path.includes('<environment>') ? 'path' : 'none',
    body: 'none',
    readsAnswer: false,
    unchanged: [],
    changed: [],
    outcome: 'known',
    rateLimited: false,
    lookup: undefined,
    concerns: () => true,
    ...row,
    methods: typeof row.methods === 'string' ? [row.methods] : row.methods,
  };
}

const READ = ['GET', 'HEAD'] as const;
const UPDATE = ['PUT', 'PATCH'] as const;

/** The request's own path, which also answers `GET`. */
const itself = (path: string) => (request: MatchedRequest) =>
  path.replace(/<(\w+)>/g, (_, name: string) => encodeURIComponent(request.parameter(name)));

const IDENTITY = 'environments/<environment>/identities/<identity>/';
const TRAIT = `${IDENTITY}traits/<trait>/`;
const OVERRIDE = `${IDENTITY}featurestates/<featureState>/`;
const ENVIRONMENT_STATE = 'environments/<environment>/featurestates/<featureState>/';
const FEATURE = 'projects/<project>/features/<feature>/';

/** What SDKs call, with an environment's key (docs/flagsmith.md, "SDK endpoints"). */
const SDK: readonly Row[] = [
  { name: 'sdk.identify', methods: 'POST', path: 'identities/', body: 'object', unchanged: [400], effects: identify },
  {
    name: 'sdk.readIdentity',
    methods: READ,
    path: 'identities/',
    changed: [404],
    readsAnswer: true,
    rateLimited: true,
    concerns: readsIdentity,
    effects: readIdentity,
  },
  // The deprecated routes come first in Core's list, and the first pattern that fits the path decides.
  {
    name: 'sdk.setTraitByPath',
    methods: 'POST',
    path: 'identities/<identifier>/traits/<traitKey>',
    effects: setTraitByPath,
  },
  {
    name: 'sdk.readIdentityByPath',
    methods: READ,
    path: 'identities/<identifier>/',
    end: 'prefix',
    changed: [404],
    readsAnswer: true,
    rateLimited: true,
    effects: readIdentityByPath,
  },
  {
    name: 'sdk.readFlagsByPath',
    methods: READ,
    path: 'flags/<identifier>',
    changed: [404],
    rateLimited: true,
    effects: readIdentityByPath,
  },
  {
    name: 'sdk.setTrait',
    methods: 'POST',
    path: 'traits/',
    end: 'format',
    body: 'object',
    unchanged: [400],
    effects: setTrait,
  },
  { name: 'sdk.bulkTraits', methods: 'PUT', path: 'traits/bulk/', body: 'list', effects: bulkTraits },
  {
    name: 'sdk.incrementTrait',
    methods: 'POST',
    path: 'traits/increment-value/',
    body: 'object',
    unchanged: [400],
    effects: incrementTrait,
  },
];

/** What the dashboard and scripts call about one identity (docs/flagsmith.md, "Admin endpoints"). */
const ADMIN: readonly Row[] = [
  {
    name: 'admin.createIdentity',
    methods: 'POST',
    path: 'environments/<environment>/identities/',
    body: 'object',
    unchanged: [400],
    effects: createIdentity,
  },
  {
    name: 'admin.renameIdentity',
    methods: UPDATE,
    path: IDENTITY,
    body: 'object',
    readsAnswer: true,
    unchanged: [400],
    lookup: itself(IDENTITY),
    effects: renameIdentity,
  },
  {
    name: 'admin.deleteIdentity',
    methods: 'DELETE',
    path: IDENTITY,
    lookup: itself(IDENTITY),
    effects: deleteIdentity,
  },
  {
    name: 'admin.createTrait',
    methods: 'POST',
    path: `${IDENTITY}traits/`,
    body: 'object',
    unchanged: [400],
    effects: createTrait,
  },
  {
    name: 'admin.updateTrait',
    methods: UPDATE,
    path: TRAIT,
    body: 'object',
    readsAnswer: true,
    unchanged: [400],
    lookup: itself(TRAIT),
    effects: updateTrait,
  },
  { name: 'admin.deleteTrait', methods: 'DELETE', path: TRAIT, lookup: itself(TRAIT), effects: deleteTrait },
  {
    name: 'admin.deleteTraitKey',
    methods: 'POST',
    path: 'environments/<environment>/delete-traits/',
    end: 'format',
    body: 'object',
    unchanged: [400],
    effects: deleteTraitKey,
  },
  // The value of an override is saved before the rest is validated, so a 400 proves nothing on these.
  {
    name: 'admin.createOverride',
    methods: 'POST',
    path: `${IDENTITY}featurestates/`,
    body: 'object',
    effects: createOverride,
  },
  {
    name: 'admin.cloneOverrides',
    methods: 'POST',
    path: `${IDENTITY}featurestates/clone-from-given-identity/`,
    unchanged: [400],
    effects: cloneOverrides,
  },
  {
    name: 'admin.updateOverride',
    methods: UPDATE,
    path: OVERRIDE,
    body: 'object',
    readsAnswer: true,
    lookup: itself(OVERRIDE),
    effects: updateOverride,
  },
  {
    name: 'admin.deleteOverride',
    methods: 'DELETE',
    path: OVERRIDE,
    lookup: itself(OVERRIDE),
    effects: deleteOverride,
  },
  {
    name: 'admin.createFeatureState',
    methods: 'POST',
    path: 'features/featurestates/',
    end: 'format',
    body: 'object',
    readsAnswer: true,
    effects: createFeatureState,
  },
  {
    name: 'admin.updateFeatureState',
    methods: UPDATE,
    path: 'features/featurestates/<featureState>/',
    end: 'format',
    body: 'object',
    readsAnswer: true,
    effects: updateFeatureState,
  },
  {
    name: 'admin.createEnvironmentFeatureState',
    methods: 'POST',
    path: 'environments/<environment>/featurestates/',
    body: 'object',
    readsAnswer: true,
    effects: createFeatureState,
  },
  {
    name: 'admin.updateEnvironmentFeatureState',
    methods: UPDATE,
    path: ENVIRONMENT_STATE,
    body: 'object',
    readsAnswer: true,
    lookup: environmentFeatureStateLookup,
    effects: updateEnvironmentFeatureState,
  },
  {
    name: 'admin.deleteEnvironmentFeatureState',
    methods: 'DELETE',
    path: ENVIRONMENT_STATE,
    lookup: environmentFeatureStateLookup,
    concerns: reachesOverrides,
    effects: deleteEnvironmentFeatureState,
  },
];

/** What changes documents without naming an identity (docs/flagsmith.md, "Writes … without naming an identity"). */
const SETTINGS: readonly Row[] = [
  { name: 'admin.deleteFeature', methods: 'DELETE', path: FEATURE, effects: changeFeature },
  {
    name: 'admin.updateFeature',
    methods: UPDATE,
    path: FEATURE,
    body: 'object',
    readsAnswer: true,
    lookup: itself(FEATURE),
    effects: updateFeature,
  },
  { name: 'admin.createOption', methods: 'POST', path: `${FEATURE}mv-options/`, effects: changeFeature },
  {
    name: 'admin.changeOption',
    methods: [...UPDATE, 'DELETE'],
    path: `${FEATURE}mv-options/<option>/`,
    effects: changeFeature,
  },
  {
    name: 'admin.deleteEnvironment',
    methods: 'DELETE',
    path: 'environments/<environment>/',
    end: 'format',
    effects: deleteEnvironment,
  },
  {
    name: 'admin.renameEnvironment',
    methods: UPDATE,
    path: 'environments/<environment>/',
    end: 'format',
    body: 'object',
    readsAnswer: true,
    unchanged: [400],
    effects: renameEnvironment,
  },
  {
    name: 'admin.enableVersioning',
    methods: 'POST',
    path: 'environments/<environment>/enable-v2-versioning/',
    unchanged: [400],
    outcome: 'background',
    effects: changeVersioning,
  },
  {
    name: 'admin.disableVersioning',
    methods: 'POST',
    path: 'environments/<environment>/disable-v2-versioning/',
    unchanged: [400],
    outcome: 'background',
    effects: changeVersioning,
  },
  {
    name: 'admin.changeCohort',
    methods: ['POST', ...UPDATE, 'DELETE'],
    path: 'environments/<environment>/cohorts/',
    end: 'prefix',
    unchanged: [400],
    outcome: 'background',
    effects: changeCohort,
  },
  {
    name: 'admin.deleteProject',
    methods: 'DELETE',
    path: 'projects/<project>/',
    end: 'format',
    outcome: 'background',
    effects: deleteProject,
  },
  {
    name: 'admin.importLaunchDarkly',
    methods: 'POST',
    path: 'projects/<project>/imports/launch-darkly/',
    unchanged: [400],
    outcome: 'background',
    effects: importLaunchDarkly,
  },
  {
    name: 'admin.importFeatures',
    methods: 'POST',
    path: 'features/feature-import/<environmentId>',
    unchanged: [400],
    outcome: 'background',
    effects: importFeatures,
  },
  {
    name: 'admin.deleteOrganisation',
    methods: 'DELETE',
    path: 'organisations/<organisation>/',
    end: 'format',
    outcome: 'background',
    lookup: (request) => `projects/?organisation=${encodeURIComponent(request.parameter('organisation'))}`,
    effects: deleteOrganisation,
  },
];

/** Every way over HTTP in which Core changes identities, in the order in which Core's own patterns are tried. */
export const ROUTES: readonly Route[] = [
  ...SDK.map((row) => route({ ...row, environment: 'header' })),
  ...ADMIN.map(route),
  ...SETTINGS.map(route),
];

/**
 * Forms of the Django admin (`/admin/…`), outside the API: a saved one redirects, whatever else it answers changed
 * nothing. It has no API to ask what it was about.
 */
export const DJANGO_ADMIN: Route = route({
  name: 'django.admin',
  methods: 'POST',
  path: 'admin/<application>/',
  end: 'prefix',
  unchanged: [200, 400],
  changed: [302],
  effects: saveAdminForm,
});

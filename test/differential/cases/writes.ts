import fc from 'fast-check';
import { type Case, FORM_TYPE, JSON_TYPE, KEY, request, SESSION, TOKEN } from '../case.ts';

const sdk: Case['fields'] = [KEY, JSON_TYPE];
const admin: Case['fields'] = [TOKEN, JSON_TYPE];
const ENVIRONMENT = '/api/v1/environments/client-key';
const ALICE = `${ENVIRONMENT}/identities/1001`;

/** One ordinary write for each route, from which odd cases are made. */
export const WRITES: Readonly<Record<string, Case>> = {
  'sdk.identify': request(
    'POST /api/v1/identities/',
    sdk,
    '{"identifier":"ann","traits":[{"trait_key":"plan","trait_value":"gold"}]}',
  ),
  'sdk.identify, form': request('POST /api/v1/identities/', [KEY, FORM_TYPE], 'identifier=ann'),
  'sdk.readIdentity': request('GET /api/v1/identities/?identifier=ann', sdk),
  'sdk.setTraitByPath': request('POST /api/v1/identities/ann/traits/plan', sdk, '{"trait_value":"gold"}'),
  'sdk.readIdentityByPath': request('GET /api/v1/identities/ann/', sdk),
  'sdk.readFlagsByPath': request('GET /api/v1/flags/ann', sdk),
  'sdk.setTrait': request(
    'POST /api/v1/traits/',
    sdk,
    '{"identity":{"identifier":"ann"},"trait_key":"plan","trait_value":"gold"}',
  ),
  'sdk.setTrait, form': request(
    'POST /api/v1/traits/',
    [KEY, FORM_TYPE],
    'identity.identifier=ann&trait_key=plan&trait_value=gold',
  ),
  'sdk.bulkTraits': request(
    'PUT /api/v1/traits/bulk/',
    sdk,
    '[{"identity":{"identifier":"ann"},"trait_key":"plan","trait_value":null},{"identity":{"identifier":"ben"},"trait_key":"age","trait_value":1}]',
  ),
  'sdk.incrementTrait': request(
    'POST /api/v1/traits/increment-value/',
    sdk,
    '{"identifier":"ann","trait_key":"age","increment_by":1}',
  ),
  'admin.createIdentity': request(`POST ${ENVIRONMENT}/identities/`, admin, '{"identifier":"ann"}'),
  'admin.renameIdentity': request(`PUT ${ALICE}/`, admin, '{"identifier":"ann"}'),
  'admin.deleteIdentity': request(`DELETE ${ALICE}/`, admin),
  'admin.createTrait': request(`POST ${ALICE}/traits/`, admin, '{"trait_key":"new","string_value":"x"}'),
  'admin.updateTrait': request(`PATCH ${ALICE}/traits/5001/`, admin, '{"trait_key":"renamed"}'),
  'admin.deleteTrait': request(`DELETE ${ALICE}/traits/5001/`, admin),
  'admin.deleteTrait of all': request(`DELETE ${ALICE}/traits/5001/?deleteAllMatchingTraits=true`, admin),
  'admin.deleteTraitKey': request(`POST ${ENVIRONMENT}/delete-traits/`, admin, '{"key":"plan"}'),
  'admin.createOverride': request(`POST ${ALICE}/featurestates/`, admin, '{"feature":102,"enabled":true}'),
  'admin.cloneOverrides': request(
    `POST ${ALICE}/featurestates/clone-from-given-identity/`,
    admin,
    '{"source_identity_id":1002}',
  ),
  'admin.updateOverride': request(`PUT ${ALICE}/featurestates/9001/`, admin, '{"feature":101,"identity":1002}'),
  'admin.deleteOverride': request(`DELETE ${ALICE}/featurestates/9001/`, admin),
  'admin.createFeatureState': request(
    'POST /api/v1/features/featurestates/',
    admin,
    '{"feature":101,"environment":41,"identity":1001}',
  ),
  'admin.updateFeatureState': request(
    'PUT /api/v1/features/featurestates/9001/',
    admin,
    '{"feature":101,"environment":41,"identity":1002}',
  ),
  'admin.createEnvironmentFeatureState': request(
    `POST ${ENVIRONMENT}/featurestates/`,
    admin,
    '{"feature":101,"identifier":"alice"}',
  ),
  'admin.updateEnvironmentFeatureState': request(
    `PUT ${ENVIRONMENT}/featurestates/9001/?anyIdentity=1`,
    admin,
    '{"identity":1002}',
  ),
  'admin.deleteEnvironmentFeatureState': request(`DELETE ${ENVIRONMENT}/featurestates/9001/?anyIdentity=`, admin),
  'admin.deleteFeature': request('DELETE /api/v1/projects/21/features/101/', admin),
  'admin.updateFeature': request('PATCH /api/v1/projects/21/features/101/', admin, '{"type":"MULTIVARIATE"}'),
  'admin.createOption': request('POST /api/v1/projects/21/features/101/mv-options/', admin, '{"string_value":"x"}'),
  'admin.changeOption': request('DELETE /api/v1/projects/21/features/101/mv-options/301/', admin),
  'admin.deleteEnvironment': request(`DELETE ${ENVIRONMENT}/`, admin),
  'admin.renameEnvironment': request(`PATCH ${ENVIRONMENT}/`, admin, '{"api_key":"renamed"}'),
  'admin.enableVersioning': request(`POST ${ENVIRONMENT}/enable-v2-versioning/`, admin),
  'admin.disableVersioning': request(`POST ${ENVIRONMENT}/disable-v2-versioning/`, admin),
  'admin.changeCohort': request(`POST ${ENVIRONMENT}/cohorts/`, admin, '{"name":"beta"}'),
  'admin.deleteProject': request('DELETE /api/v1/projects/21/', admin),
  'admin.importLaunchDarkly': request('POST /api/v1/projects/21/imports/launch-darkly/', admin, '{"token":"x"}'),
  'admin.importFeatures': request('POST /api/v1/features/feature-import/41', admin, '{"strategy":"OVERWRITE"}'),
  'admin.deleteOrganisation': request('DELETE /api/v1/organisations/11/', admin),
  'auth.deleteUser': request('DELETE /api/v1/auth/users/me/', admin, '{"delete_orphan_organisations":true}'),
  'django.admin': request('POST /admin/features/feature/1/change/', [SESSION, FORM_TYPE], 'name=x'),
  'django.admin, pop-up': request('POST /admin/features/feature/1/change/', [SESSION, FORM_TYPE], 'name=x&_popup=1'),
};

export const anyWrite = fc.constantFrom(...Object.values(WRITES));
/** Routes whose body says what is written. */
export const anyBodyWrite = fc.constantFrom(...Object.values(WRITES).filter(({ body }) => body !== ''));

/** A case with some of it changed. */
export function changed(one: Case, changes: Partial<Case>): Case {
  return { ...one, ...changes };
}

/** Mostly nothing, so that each oddity is tested alone. */
export function seldom<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { freq: 3, nil: undefined });
}

/** Every possible byte, and texts that confuse parsers. */
export const oddText = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '\t',
    '\x0b',
    '\x0c',
    '\x1c',
    '\x1f',
    '\x85',
    '\xa0',
    '\xad',
    '\xff',
    '\xef\xbb\xbf',
    '\x00',
  ),
  fc.constantFrom('%00', '%0A', '%20', '%2F', '%252F', '%', '%zz', '%C3%A9', '%E9', '%EF%BB%BF', '%ED%A0%80', '+'),
  fc.constantFrom('ann', 'a@b.c', '1', '1.0', '1e3', 'true', '__proto__', 'constructor', '"', "'", '\\', ';', ',', '#'),
  fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 4 }),
);

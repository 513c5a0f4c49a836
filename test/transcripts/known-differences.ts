import type { Difference } from './difference.ts';
import type { Replayed } from './recorded-core.ts';
import type { Transcript } from './transcripts.ts';

/** A kind of harmless difference between our own Core API and the real one. */
export interface KnownDifference {
  /** Why it does not matter. */
  readonly why: string;
  covers(difference: Difference, transcript: Transcript, ours: Replayed): boolean;
}

/** Every difference has to be of one of these kinds, and every kind has to occur. */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  absent('segments and their overrides have no table here, and no identity has one', [
    /^\/api\/v1\/projects\/\d+\/segments\//,
    /^\/api\/v1\/features\/feature-segments\//,
    /\/create-segment-override\/$/,
  ]),
  absent('the newer flag routes change states of the environment and of segments, which no identity has', [
    /^\/api\/(experiments|__future__)\//,
  ]),
  absent('a version of a feature has the states of the environment and of segments, which no identity has', [
    /^\/api\/v1\/environments\/\d+\/features\/\d+\/versions\//,
  ]),
  absent('cohorts, experiments and tags have no table here', [
    /^\/api\/v1\/environments\/\w+\/(cohorts|experiments)\//,
    /^\/api\/v1\/projects\/\d+\/tags\//,
  ]),
  absent('identities of Edge are in DynamoDB, which the recorded API had none of: it refuses or finds nothing', [
    /\/edge-identit/,
    /\/migrate-to-edge\/$/,
  ]),
  absent('users, their sessions and memberships have no table here', [
    /^\/api\/v1\/auth\/(login|token|users)\//,
    /\/remove-users\/$/,
  ]),
  absent('a new project has no identity, and an organisation may have as many as its subscription says', [
    /^\/api\/v1\/projects\/$/,
  ]),
  absent('it only reads, or counts evaluations', [
    /^\/api\/v1\/(flags|environment-document|analytics\/flags)\//,
    /^\/api\/v2\/analytics\/flags\//,
  ]),
  absent('the pages are not part of the API', [/^\/(admin\/.*|robots\.txt)?$/]),
  {
    why: 'no flag and no segment is evaluated, so that answers show none, or of an identity’s flags only its overrides',
    covers: ({ part, where }, { request: { target } }) =>
      (part === 'answer' && /^\.(flags|segments)$/.test(where)) ||
      (part === 'answer' &&
        where === '' &&
        /\/(flags\/|featurestates\/(all|clone-from-given-identity))/.test(target)) ||
      /[?&]feature=f_|[?&]feature=nope/.test(target),
  },
  {
    why: 'what is no column here is in no answer',
    covers: ({ part, where, ours }) => part === 'answer' && ours === undefined && NO_COLUMNS.test(where),
  },
  {
    why: 'of an organisation there is little more than its id here',
    covers: ({ part, ours }, { request }) =>
      part === 'answer' && ours === undefined && /^\/api\/v1\/organisations\/\d+/.test(request.target),
  },
  {
    why: 'imports have no table here, and thus no ids',
    covers: ({ part, where }, { request }) =>
      part === 'answer' && /^\.(id|created_at)$/.test(where) && /\/feature-import\//.test(request.target),
  },
  {
    why: 'users are only deleted',
    covers: ({ part, where }, { request }) =>
      part === 'header' && where === 'allow' && /\/auth\/users\//.test(request.target),
  },
];

const NO_COLUMNS = new RegExp(
  `^(\\.results\\[\\])?\\.(${[
    // of features
    ...[
      'default_enabled',
      'created_date',
      'description',
      'tags',
      'owners',
      'group_owners',
      'environment_feature_state',
    ],
    ...['segment_feature_state', 'num_(segment|identity)_overrides', 'is_num_identity_overrides_complete'],
    ...['is_server_key_only', 'last_modified_in_(any|current)_environment', 'metadata', 'code_references_counts'],
    // of environments
    ...['minimum_change_request_approvals', 'banner_text', 'banner_colour'],
    // of projects
    ...['hide_disabled_flags', 'migration_status', 'use_edge_identities', 'prevent_flag_defaults'],
    ...['enable_realtime_updates', 'only_allow_lower_case_feature_names', 'feature_name_regex'],
    ...['show_edge_identity_overrides_for_feature', 'stale_flags_limit_days', 'edge_v2_migration_status'],
    ...['enforce_feature_owners'],
  ].join('|')})$`,
);

/** Routes that our API does not have: it answers 404 or 405, and changes nothing. */
function absent(why: string, paths: readonly RegExp[]): KnownDifference {
  return {
    why,
    covers: (_, { request }, { status, changes, background }) =>
      [404, 405].includes(status) &&
      Object.keys({ ...changes, ...background }).length === 0 &&
      paths.some((path) => path.test(request.target.split('?', 1)[0]!)),
  };
}

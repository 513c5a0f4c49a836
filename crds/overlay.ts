/*
 * The parts of EdgeMigration's definition in addition to the fields, their bounds, defaults and descriptions, which
 * come from the schema (contract/edge-migration/api.ts): names, columns, and by the path of a field the keywords that
 * only the API server uses. `node scripts/crd.ts` merges both.
 */

type Keywords = Readonly<Record<string, unknown>>;

const listMap = (key: string): Keywords => ({
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': [key],
});
const atomicList: Keywords = { 'x-kubernetes-list-type': 'atomic' };
/** A status that an earlier release has stored without one of the fields can still be written. */
const nothingRequired: Keywords = { required: undefined };

/** `undefined` removes a keyword of the schema. `[]` stands for the items of a list. */
export const OVERLAY: Readonly<Record<string, Keywords>> = {
  '': {
    'x-kubernetes-validations': [
      {
        rule: "self.metadata.name == 'project-%d'.format([self.spec.projectId])",
        message: 'name must be project-<projectId>, so that there is one EdgeMigration per project',
        fieldPath: '.spec.projectId',
      },
    ],
  },
  spec: {
    'x-kubernetes-validations': [
      {
        rule: '!has(self.copy) || self.copy.maxWriteUnitsPerSecond >= self.copy.parallelism * 5',
        message: 'copy.maxWriteUnitsPerSecond must be at least 5 for each of copy.parallelism pods',
      },
    ],
  },
  'spec.projectId': {
    'x-kubernetes-validations': [
      {
        rule: 'self == oldSelf',
        message: 'projectId must not be changed; create another EdgeMigration for the other project',
      },
    ],
  },
  'spec.mode': {
    'x-kubernetes-validations': [
      {
        rule: "!(oldSelf == 'Migrate' && self == 'Plan')",
        message: 'mode must not go from Migrate back to Plan; to stop a migration set suspend or delete it',
      },
    ],
  },
  'spec.verify.regions': { 'x-kubernetes-list-type': 'set' },
  'status.conditions': listMap('type'),
  'status.skipped': nothingRequired,
  'status.skipped.byReason': listMap('reason'),
  'status.unstorable.byReason': listMap('reason'),
  'status.plan.writes': atomicList,
  // The API server has known it as a string of ten characters since before it was a date here.
  'status.replay.stillOnCore.identitiesSince': { format: undefined, maxLength: 10 },
  'status.replay.stillOnCore.environments': atomicList,
  'status.replay.stillOnCore.clients': atomicList,
  'status.gaps': atomicList,
  'status.verification.current': nothingRequired,
  'status.verification.last': nothingRequired,
  'status.audit': nothingRequired,
  'status.edge': nothingRequired,
};

export const DESCRIPTION =
  'EdgeMigration copies the identities of one Flagsmith project from Core (Postgres) to Edge (DynamoDB) and then ' +
  "replays writes that still reach Core, until the deadline. Core's data is never changed.";

export const NAMES = {
  kind: 'EdgeMigration',
  listKind: 'EdgeMigrationList',
  plural: 'edgemigrations',
  singular: 'edgemigration',
  shortNames: ['em', 'ems'],
  categories: ['flagsmith'],
};

export interface Column {
  name: string;
  type: string;
  jsonPath: string;
  /** Above 0: shown only by `-o wide`. */
  priority?: number;
  description?: string;
}

export const COLUMNS: readonly Column[] = [
  { name: 'Project', type: 'integer', jsonPath: '.spec.projectId' },
  { name: 'Phase', type: 'string', jsonPath: '.status.phase' },
  { name: 'Progress', type: 'string', jsonPath: '.status.progress' },
  { name: 'Lag', type: 'string', jsonPath: '.status.replay.lag' },
  { name: 'Deadline', type: 'string', jsonPath: '.status.replay.deadline', description: 'When replay ends.' },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  { name: 'Skipped', type: 'integer', jsonPath: '.status.skipped.total', priority: 1 },
  {
    name: 'Failed',
    type: 'integer',
    jsonPath: '.status.copy.rangesFailed',
    priority: 1,
    description: 'Ranges of the copy that failed.',
  },
  { name: 'Message', type: 'string', jsonPath: '.status.message', priority: 1 },
];

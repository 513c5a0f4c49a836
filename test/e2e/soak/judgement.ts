import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { canonicalText } from '../../core/canonical.ts';
import { expectedDocuments } from '../../core/expectation.ts';
import type { TestTables } from '../../edge/tables.ts';
import type { Document, EdgeWrites } from './edge-clients.ts';

/** A state on Edge that is wrong. */
export interface Violation {
  readonly kind:
    | 'missing'
    | 'differs'
    | 'left over'
    | 'edge-born lost'
    | 'edge write lost'
    | 'override rows'
    | 'edge row left'
    | 'foreign project'
    | 'regions differ';
  readonly key: string;
  readonly detail: string;
}

export interface Judgement {
  /** Identities of the project in Core. */
  readonly identities: number;
  /** Those of their documents that still are as Edge clients created them, with the writes of Core's clients. */
  readonly edgeBorn: number;
  /** Number of Edge clients' traits and overrides that exist. */
  readonly edgeWrites: number;
  readonly violations: readonly Violation[];
}

export interface Evidence {
  readonly databaseUrl: string;
  readonly tables: TestTables;
  readonly population: {
    readonly project: {
      readonly projectId: number;
      readonly neighbour: { readonly environments: readonly { readonly apiKey: string }[] };
    };
    /** Only Edge clients override it. */
    readonly edgeFeature: number;
  };
  /** Writes of each region's Edge clients. */
  readonly edgeWrites: readonly ReadonlyMap<string, EdgeWrites>[];
  readonly sharedWrites: ReadonlyMap<string, number>;
}

type ByName = ReadonlyMap<string, AttributeValue>;

/** Compares all of Edge with all of Core, once every event has been applied. */
export async function judge(evidence: Evidence): Promise<Judgement> {
  const { databaseUrl, tables, population } = evidence;
  const documents = new Map((await tables.scan()).map((item) => [item['composite_key']?.S ?? '', item]));
  const violations: Violation[] = [];
  const seen = new Set<string>();
  const edgeOverride = String(population.edgeFeature);
  let edgeBorn = 0;
  for await (const expected of expectedDocuments(databaseUrl, population.project.projectId)) {
    const { key, identityId, storable, document } = expected;
    const actual = documents.get(key);
    if (!storable) {
      // Its document remains as it was when Edge could still hold it.
      if (actual?.['django_id']?.N === String(identityId)) seen.add(key);
      continue;
    }
    seen.add(key);
    if (actual === undefined) violations.push({ kind: 'missing', key, detail: 'Core has it, Edge has not' });
    else {
      if (actual['django_id']?.N === undefined) edgeBorn += 1;
      const isShared = /_shared-\d+$/.test(key);
      const details = findDifferences(actual, document as Document, { isShared, edgeOverride });
      violations.push(...details.map((detail) => ({ kind: 'differs' as const, key, detail })));
      if (isShared) violations.push(...judgeShared(key, actual, document as Document, evidence));
    }
  }
  violations.push(...findUnexpected(documents, seen, evidence));
  let present = 0;
  for (const writes of evidence.edgeWrites) {
    const judged = judgeEdgeWrites(documents, writes, population);
    violations.push(...judged.lost);
    present += judged.present;
  }
  violations.push(...(await judgeOverrideRows(documents, evidence)));
  return { identities: seen.size, edgeBorn, edgeWrites: present, violations };
}

/** Everything in Core must exist, and nothing else that only Core's clients write. */
function findDifferences(
  actual: Document,
  expected: Document,
  { isShared, edgeOverride }: { isShared: boolean; edgeOverride: string },
): string[] {
  const isEdgeBorn = actual['django_id']?.N === undefined;
  const names = isEdgeBorn
    ? ['environment_api_key', 'identifier']
    : ['environment_api_key', 'identifier', 'django_id', 'created_date', 'system_traits'];
  const attributes = names.filter((name) => !same(actual[name], expected[name]));
  const isEdgeTrait = (name: string) => name.startsWith('edge_') || (isShared && name === 'plan');
  return [
    ...attributes.map((name) => `${name} is ${show(actual[name])}, not ${show(expected[name])}`),
    ...compareNames('trait', traitsOf(actual), traitsOf(expected), isEdgeTrait),
    ...compareNames('override', overridesOf(actual), overridesOf(expected), (name) => name === edgeOverride),
  ];
}

function compareNames(what: string, actual: ByName, expected: ByName, isEdges: (name: string) => boolean): string[] {
  return [...new Set([...actual.keys(), ...expected.keys()])]
    .filter((name) => !isEdges(name) && !same(actual.get(name), expected.get(name)))
    .map((name) => `${what} ${name} is ${show(actual.get(name))}, not ${show(expected.get(name))}`);
}

/** `plan` is as written by Core or an Edge client; by Core if its client wrote after the last Edge client. */
function judgeShared(
  key: string,
  actual: Document,
  expected: Document,
  { edgeWrites, sharedWrites }: Evidence,
): Violation[] {
  const plan = traitsOf(actual).get('plan');
  const core = traitsOf(expected).get('plan');
  if (same(plan, core)) return [];
  const planTime = Math.max(...edgeWrites.map((writes) => writes.get(key)?.planTime ?? 0));
  const coreTime = sharedWrites.get(key.slice(key.indexOf('_') + 1)) ?? 0;
  if (plan?.S?.startsWith('edge ') && planTime >= coreTime) return [];
  return [{ kind: 'differs', key, detail: `trait plan is ${show(plan)}, not ${show(core)}, which was written later` }];
}

/** Documents of identities that Core does not have. */
function findUnexpected(
  documents: ReadonlyMap<string, Document>,
  expected: ReadonlySet<string>,
  { population, edgeWrites }: Evidence,
): Violation[] {
  const foreign = new Set(population.project.neighbour.environments.map(({ apiKey }) => apiKey));
  return [...documents]
    .filter(([key]) => !expected.has(key))
    .flatMap(([key, document]): Violation[] => {
      const id = document['django_id']?.N;
      if (foreign.has(document['environment_api_key']?.S ?? '')) {
        return [{ kind: 'foreign project', key, detail: 'its project has no EdgeMigration' }];
      }
      if (id === undefined && edgeWrites.some((writes) => writes.has(key))) return [];
      return [{ kind: 'left over', key, detail: `of identity ${id}, which Core does not have` }];
    });
}

/** Edge clients' writes stay, as long as the document is that of the same identity. */
function judgeEdgeWrites(
  documents: ReadonlyMap<string, Document>,
  edgeWrites: ReadonlyMap<string, EdgeWrites>,
  population: Evidence['population'],
): { lost: Violation[]; present: number } {
  const lost: Violation[] = [];
  let present = 0;
  for (const [key, { djangoId, traits, override }] of edgeWrites) {
    const document = documents.get(key);
    if (djangoId === undefined && (document === undefined || document['django_id']?.N !== undefined)) {
      lost.push({ kind: 'edge-born lost', key, detail: document === undefined ? 'deleted' : 'replaced' });
    }
    if (document === undefined || document['django_id']?.N !== djangoId) continue;
    const found = traitsOf(document);
    for (const [name, text] of traits) {
      const value = found.get(name);
      // Data that Core's clients also write is judged elsewhere.
      if (name === 'plan') continue;
      if (value?.S === text) present += 1;
      else lost.push({ kind: 'edge write lost', key, detail: `trait ${name} is ${show(value)}, not ${text}` });
    }
    if (override === undefined) continue;
    const element = overridesOf(document).get(String(population.edgeFeature));
    if (element?.M?.['enabled']?.BOOL === override) present += 1;
    else lost.push({ kind: 'edge write lost', key, detail: `override is ${show(element)}` });
  }
  return { lost, present };
}

async function judgeOverrideRows(
  documents: ReadonlyMap<string, Document>,
  { tables, population }: Evidence,
): Promise<Violation[]> {
  const rows = await tables.scan(tables.settings.environmentsV2Table);
  return compareOverrideRows(documents, rows, population.edgeFeature);
}

/**
 * The rows for local evaluation repeat the documents' overrides; for Edge clients' ones that is not guaranteed. A row of
 * theirs whose override no document has is told apart from rows of Core's overrides: Core never had it.
 */
export function compareOverrideRows(
  documents: ReadonlyMap<string, Document>,
  all: readonly Document[],
  edgeFeature: number,
): Violation[] {
  const rows = new Map(all.map((row) => [row['document_key']?.S ?? '', row]));
  const violations: Violation[] = [];
  for (const [key, document] of documents) {
    for (const [feature, element] of overridesOf(document)) {
      const name = `identity_override:${feature}:${document['identity_uuid']?.S}`;
      const state = rows.get(name)?.['feature_state'];
      rows.delete(name);
      if (feature === String(edgeFeature) || same(state, element)) continue;
      violations.push({ kind: 'override rows', key, detail: `row of feature ${feature} is ${show(state)}` });
    }
  }
  for (const [name, row] of rows) {
    if (!name.startsWith('identity_override:')) continue;
    const kind = name.startsWith(`identity_override:${edgeFeature}:`) ? 'edge row left' : 'override rows';
    const key = `${row['environment_api_key']?.S}_${row['identifier']?.S}`;
    violations.push({ kind, key, detail: `${name} of no override` });
  }
  return violations;
}

const traitsOf = (document: Document): ByName =>
  new Map(
    (document['identity_traits']?.L ?? []).map(({ M }) => [
      M?.['trait_key']?.S ?? '',
      M?.['trait_value'] ?? { NULL: true },
    ]),
  );

const overridesOf = (document: Document): ByName =>
  new Map(
    (document['identity_features']?.L ?? []).map((element) => [element.M?.['feature']?.M?.['id']?.N ?? '', element]),
  );

const same = (one: AttributeValue | undefined, other: AttributeValue | undefined) => show(one) === show(other);
const show = (value: AttributeValue | undefined) => (value === undefined ? 'absent' : canonicalText(value));

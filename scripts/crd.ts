/**
 * Writes crds/edgemigrations.edge.flagsmith.com.yaml from the schema in contract/edge-migration/ and crds/overlay.ts.
 * `node scripts/crd.ts`; a test fails when it is out of date. After it comes `node scripts/api-reference.ts`.
 */
import { writeFileSync } from 'node:fs';
import { EDGE_MIGRATIONS, specSchema } from '@edge-migration/contract/edge-migration/api.ts';
import { statusSchema } from '@edge-migration/contract/edge-migration/status.ts';
import { Document, isPair, isScalar, Scalar, visit, type YAMLMap } from 'yaml';
import { z } from 'zod';
import { COLUMNS, DESCRIPTION, NAMES, OVERLAY } from '../crds/overlay.ts';

const FILE = new URL('../crds/edgemigrations.edge.flagsmith.com.yaml', import.meta.url);

/** A structural schema of Kubernetes, with its keywords in the order in which they are written. */
export interface Schema {
  type?: string;
  format?: string;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
  pattern?: string;
  default?: unknown;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  description?: string;
  required?: string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  'x-kubernetes-validations'?: { rule: string; message: string; fieldPath?: string }[];
}

const KEYWORDS = [
  'type',
  'format',
  'enum',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'maxItems',
  'pattern',
  'default',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'description',
  'required',
  'properties',
  'items',
  'x-kubernetes-validations',
] as const satisfies readonly (keyof Schema)[];

/** The CustomResourceDefinition, as an object. */
export function buildDefinition() {
  const { group, version: name, plural } = EDGE_MIGRATIONS;
  const version = {
    name,
    served: true,
    storage: true,
    subresources: { status: {} },
    selectableFields: [{ jsonPath: '.spec.projectId' }],
    additionalPrinterColumns: COLUMNS,
    schema: { openAPIV3Schema: buildSchema() },
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, labels: { 'app.kubernetes.io/name': 'edge-migration' } },
    spec: {
      group,
      scope: 'Namespaced',
      names: NAMES,
      conversion: { strategy: 'None' },
      versions: [version] as const,
    },
  };
}

function buildSchema(): Schema {
  const root: Schema = {
    type: 'object',
    description: DESCRIPTION,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: convert(specSchema),
      status: convert(statusSchema),
    },
  };
  const unused = new Set(Object.keys(OVERLAY));
  const schema = layOver(root, '', unused);
  if (unused.size > 0) throw new Error(`crds/overlay.ts names fields that do not exist: ${[...unused].join(', ')}`);
  return schema;
}

/** The objects that people and the operator send: a field with a default may be absent. */
function convert(schema: z.ZodType): Schema {
  const { $schema: _, ...converted } = z.toJSONSchema(schema, {
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => makeStructural(zodSchema, jsonSchema),
  });
  return converted as Schema;
}

const BOUNDS = {
  int32: { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  safeint: { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
};

function makeStructural(zodSchema: z.core.$ZodType, json: z.core.JSONSchema.BaseSchema): void {
  const { format } = zodSchema._zod.def as { format?: string };
  if (format === 'int32' || format === 'safeint') {
    if (json.minimum === BOUNDS[format].minimum) delete json.minimum;
    if (json.maximum === BOUNDS[format].maximum) delete json.maximum;
    const isSmall = format === 'int32' || (json.maximum ?? Number.POSITIVE_INFINITY) <= BOUNDS.int32.maximum;
    json.format = isSmall ? 'int32' : 'int64';
  }
  // The API server knows the formats of times, and Zod's patterns only repeat them.
  if (json.format === 'date-time' || json.format === 'date') delete json.pattern;
  // An absent list reads as an empty one, so it need not be stored.
  if (Array.isArray(json.default)) delete json.default;
}

/** Adds the overlay's keywords for each path, and sorts keywords. */
function layOver(schema: Schema, path: string, unused: Set<string>): Schema {
  const inner = (name: string) => (path === '' ? name : `${path}.${name}`);
  const whole: Schema = { ...schema, ...OVERLAY[path] };
  unused.delete(path);
  if (whole.properties !== undefined) {
    whole.properties = Object.fromEntries(
      Object.entries(whole.properties).map(([name, each]) => [name, layOver(each, inner(name), unused)]),
    );
  }
  if (whole.items !== undefined) whole.items = layOver(whole.items, `${path}[]`, unused);
  const unknown = Object.keys(whole).filter((keyword) => !(KEYWORDS as readonly string[]).includes(keyword));
  if (unknown.length > 0) throw new Error(`${path} has keywords that a structural schema must not have: ${unknown}`);
  return Object.fromEntries(
    KEYWORDS.flatMap((keyword) => (whole[keyword] === undefined ? [] : [[keyword, whole[keyword]]])),
  );
}

/** The file's text: nodes without nested content take one line, except the fields of the spec. */
export function renderDefinition(): string {
  const document = new Document(buildDefinition(), { aliasDuplicateObjects: false });
  visit(document, {
    Map(_key, node, path) {
      const names = path.flatMap((each) => (isPair(each) && isScalar(each.key) ? [each.key.value] : []));
      const isOfSpec = names.filter((name) => name === 'spec').length > 1 && names.at(-1) !== 'items';
      if (typeof node.get('type') === 'string' && isLeaf(node) && !isOfSpec) writeInOneLine(node);
    },
    Seq(_key, node) {
      if (node.items.every((item) => isScalar(item))) node.flow = true;
    },
  });
  // As people write it: spaces within braces, none within brackets.
  return document.toString({ lineWidth: 0 }).replaceAll(/\[ (.*?) \]/g, '[$1]');
}

const isLeaf = (node: YAMLMap) =>
  !node.has('properties') && !node.has('items') && !node.has('x-kubernetes-validations');

function writeInOneLine(node: YAMLMap): void {
  node.flow = true;
  const description = node.get('description', true);
  if (isScalar(description)) description.type = Scalar.QUOTE_DOUBLE;
}

if (import.meta.main) writeFileSync(FILE, renderDefinition());

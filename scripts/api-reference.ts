/**
 * Writes docs/api-reference.md from the definition of EdgeMigration. `node scripts/api-reference.ts`; a test fails when
 * it is out of date.
 */
import { writeFileSync } from 'node:fs';
import { buildDefinition, type Schema } from './crd.ts';

const PAGE = new URL('../docs/api-reference.md', import.meta.url);

/** The whole page. */
export function renderReference(): string {
  const { group, names, versions } = buildDefinition().spec;
  const [{ name: version, additionalPrinterColumns: columns, schema }] = versions;
  const root = schema.openAPIV3Schema;
  const { spec: wanted, status } = root.properties ?? {};
  if (wanted === undefined || status === undefined) throw new Error('The definition has no spec or no status');
  const rules = collectRules('', root);
  const printed = columns.map(
    ({ name, jsonPath, priority = 0 }) => `| ${name} | \`${jsonPath}\` | ${priority > 0 ? '`-o wide`' : 'always'} |`,
  );
  return [
    `# API reference\n\n<!-- Generated from contract/edge-migration/ by \`node scripts/api-reference.ts\`. -->`,
    `\`${names.kind}\` of \`${group}/${version}\`, namespaced; \`kubectl\` knows it as ${quote(names.shortNames)} too.`,
    root.description ?? '',
    '`kubectl explain em.spec` says the same of the installed version. [concepts.md](concepts.md) tells what happens.',
    `## spec\n\n${renderTable(wanted, 'spec')}`,
    `### Rules\n\nThe API server refuses what breaks one of them.\n\n${rules.join('\n')}`,
    `## status\n\n${status.description ?? ''}\n\n${renderTable(status, 'status')}`,
    `## Columns of \`kubectl get\`\n\n| Column | Field | Shown |\n| --- | --- | --- |\n${printed.join('\n')}`,
  ]
    .map((part) => `${part}\n`)
    .join('\n');
}

const quote = (texts: readonly string[]) => texts.map((text) => `\`${text}\``).join(', ');

function renderTable(top: Schema, path: string): string {
  const rows = listFields(top, path).map(
    ({ path, schema, required }) =>
      `| \`${path}\` | ${escapeCell(typeOf(schema, required))} | ${escapeCell(schema.description ?? '')} |`,
  );
  return `| Field | Type | Meaning |\n| --- | --- | --- |\n${rows.join('\n')}`;
}

interface Field {
  path: string;
  schema: Schema;
  required: boolean;
}

/** Fields in the order of the definition, each before those within it. */
function listFields(parent: Schema, path: string): Field[] {
  return Object.entries(parent.properties ?? {}).flatMap(([name, schema]) => {
    const field = { path: `${path}.${name}`, schema, required: parent.required?.includes(name) ?? false };
    const inner = schema.items === undefined ? schema : schema.items;
    const suffix = schema.items === undefined ? '' : '[]';
    return [field, ...listFields(inner, `${field.path}${suffix}`)];
  });
}

/** "integer, 1 to 64, default 4" */
function typeOf(schema: Schema, required: boolean): string {
  const { type = '', format, minimum, maximum, maxLength, maxItems, pattern } = schema;
  const parts = [
    type === 'array' ? `list of ${schema.items?.type ?? 'values'}` : (timeFormat(format) ?? type),
    required ? 'required' : '',
    schema.enum === undefined ? '' : quote(schema.enum),
    describeBounds(minimum, maximum),
    maxLength === undefined ? '' : `at most ${maxLength} characters`,
    maxItems === undefined ? '' : `at most ${maxItems}`,
    pattern === undefined ? '' : `\`${pattern}\``,
    isPlain(schema.default) ? `default \`${schema.default}\`` : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}

const timeFormat = (format: string | undefined) => (format === 'date-time' ? 'time' : undefined);

const isPlain = (value: unknown) => value !== undefined && typeof value !== 'object';

function describeBounds(minimum: number | undefined, maximum: number | undefined): string {
  if (minimum === undefined) return '';
  return maximum === undefined ? `${minimum} or more` : `${minimum} to ${maximum}`;
}

/** A `|` would end the cell, also within code. */
const escapeCell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('<', '&lt;');

function collectRules(path: string, schema: Schema): string[] {
  const own = (schema['x-kubernetes-validations'] ?? []).map(
    ({ rule, message }) => `- ${path === '' ? '' : `\`${path}\`: `}${escapeCell(message)} (\`${rule}\`)`,
  );
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, each]) =>
    collectRules(path === '' ? name : `${path}.${name}`, each),
  );
  return [...own, ...inner];
}

if (import.meta.main) writeFileSync(PAGE, renderReference());

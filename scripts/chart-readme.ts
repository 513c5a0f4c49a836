/**
 * Writes charts/edge-migration/README.md: its introduction, and the table of values from values.yaml (defaults) and
 * values.schema.json (meanings). `node scripts/chart-readme.ts`; a test fails when it is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';

const CHART = new URL('../charts/edge-migration/', import.meta.url);

interface Schema {
  description?: string;
  properties?: Record<string, Schema>;
}

/** One row: the path of a value, its meaning and its default. */
export interface ChartValue {
  path: string;
  description: string;
  fallback: unknown;
}

/** Every value that can be set, in the order of the schema. */
export function listValues(): ChartValue[] {
  const read = (name: string) => readFileSync(new URL(name, CHART), 'utf8');
  const { global: _, ...properties } = (JSON.parse(read('values.schema.json')) as Schema).properties ?? {};
  return collect({ properties }, parse(read('values.yaml')), '');
}

function collect(schema: Schema, fallback: unknown, path: string): ChartValue[] {
  const { description = '', properties } = schema;
  // A value such as `resources` counts as a whole.
  if (properties === undefined || description !== '') return [{ path, description, fallback }];
  const values = fallback as Record<string, unknown>;
  return Object.entries(properties).flatMap(([name, inner]) =>
    collect(inner, values?.[name], path === '' ? name : `${path}.${name}`),
  );
}

/** The whole page. */
export function renderReadme(): string {
  const rows = listValues().map(({ path, description, fallback }) => {
    const text = description.replaceAll('|', '\\|');
    return `| \`${path}\` | ${text} | \`${JSON.stringify(fallback) ?? ''}\` |`;
  });
  return `${INTRODUCTION}\n| Value | Meaning | Default |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
}

const INTRODUCTION = `# Chart: edge-migration

Installs the operator, its appliers, rights, the definition of \`EdgeMigration\`, network policies, and on request
monitors, alerts and a dashboard. [docs/install.md](../../docs/install.md) goes through it step by step.

\`\`\`console
$ helm install edge-migration charts/edge-migration -n edge-migration --create-namespace \\
    --set nats.servers={nats://nats.nats.svc:4222} --set capture.coreApi.namespace=flagsmith
$ helm test edge-migration -n edge-migration --logs
\`\`\`

One release for a cluster; two need disjoint \`watchNamespaces\`, and NATS accounts of their own.

## Values

A value that is not listed here is refused.
`;

if (import.meta.main) writeFileSync(new URL('README.md', CHART), renderReadme());

import { Client } from 'pg';
import type { TestTables } from '../edge/tables.ts';
import type { Screen } from './screen.ts';

interface CoreRow {
  key: string;
  identifier: string;
  traits: { key: string; value: string }[];
  overrides: { name: string; enabled: boolean }[];
}

/** Shows one identity, with an override, as Core's rows and as Edge's document. */
export async function showIdentity(
  screen: Screen,
  databaseUrl: string,
  projectId: number,
  tables: TestTables,
): Promise<void> {
  const row = await readOne(databaseUrl, projectId);
  const document = await tables.get(row.key);
  const edgeTraits = new Map(
    (document?.['identity_traits']?.L ?? []).map(({ M }) => [M?.['trait_key']?.S, M?.['trait_value']]),
  );
  const edgeOverrides = new Map(
    (document?.['identity_features']?.L ?? []).map(({ M }) => [M?.['feature']?.M?.['name']?.S, M?.['enabled']?.BOOL]),
  );
  const lines = [
    ['', 'Core (Postgres)', 'Edge (DynamoDB)'],
    ['identifier', row.identifier, document?.['identifier']?.S ?? '-'],
    ...row.traits.map(({ key, value }) => [`trait ${key}`, value, show(edgeTraits.get(key))]),
    ...row.overrides.map(({ name, enabled }) => [`override ${name}`, onOff(enabled), onOff(edgeOverrides.get(name))]),
  ];
  screen.heading('One identity in both');
  for (const [name = '', core = '', edge = ''] of lines)
    screen.line(`${name.padEnd(20)}${cut(core).padEnd(34)}${cut(edge)}`);
}

const show = (value: object | undefined) => {
  const [type, content] = Object.entries(value ?? {})[0] ?? ['-', ''];
  return `${type} ${String(content)}`;
};
const onOff = (enabled: boolean | undefined) => (enabled === undefined ? '-' : enabled ? 'on' : 'off');
const cut = (text: string) => (text.length > 32 ? `${text.slice(0, 31)}…` : text);

async function readOne(databaseUrl: string, projectId: number): Promise<CoreRow> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<CoreRow>(
      `SELECT e.api_key || '_' || i.identifier AS key, i.identifier,
              (SELECT json_agg(json_build_object('key', trait_key, 'value', concat(value_type, ' ',
                        CASE value_type WHEN 'int' THEN integer_value::text WHEN 'float' THEN float_value::text
                                        WHEN 'bool' THEN boolean_value::text ELSE string_value END)) ORDER BY id)
                 FROM environments_trait t WHERE t.identity_id = i.id) AS traits,
              (SELECT json_agg(DISTINCT jsonb_build_object('name', f.name, 'enabled', s.enabled))
                 FROM features_featurestate s JOIN features_feature f ON f.id = s.feature_id
                WHERE s.identity_id = i.id AND s.deleted_at IS NULL) AS overrides
         FROM environments_identity i JOIN environments_environment e ON e.id = i.environment_id
        WHERE e.project_id = $1 AND e.deleted_at IS NULL
          AND EXISTS (SELECT FROM features_featurestate s WHERE s.identity_id = i.id AND s.deleted_at IS NULL)
        ORDER BY i.id LIMIT 1`,
      [projectId],
    );
    const row = rows[0];
    if (row === undefined) throw new Error(`project ${projectId} has no identity with an override`);
    return row;
  } finally {
    await client.end();
  }
}

import { Client } from 'pg';

/** The times of changes in Core, as recorded by its own triggers. */
export interface CoreChanges {
  /** Milliseconds since the epoch at which the identity of a document's key, or everything, was changed. */
  timesOf(compositeKey: string): number[];
}

/** Makes Core record every change of a row that contributes to identities' documents. */
export async function noteChanges(databaseUrl: string): Promise<void> {
  await run(databaseUrl, (client) => client.query(TRIGGERS));
}

export function readChanges(databaseUrl: string): Promise<CoreChanges> {
  return run(databaseUrl, async (client) => {
    const keys = new Map<number, Set<string>>();
    for (const { id, key } of (await client.query<{ id: number; key: string }>(KEYS)).rows) {
      keys.set(id, (keys.get(id) ?? new Set()).add(key));
    }
    const { rows } = await client.query<Change>(
      'SELECT environment_id, identifier, extract(epoch FROM time)::float8 * 1000 AS time FROM soak_change',
    );
    const wide: number[] = [];
    const times = new Map<string, number[]>();
    for (const { environment_id, identifier, time } of rows) {
      if (environment_id === null) wide.push(time);
      for (const key of environment_id === null ? [] : (keys.get(environment_id) ?? [])) {
        const name = `${key}_${identifier}`;
        const known = times.get(name);
        if (known === undefined) times.set(name, [time]);
        else known.push(time);
      }
    }
    return { timesOf: (compositeKey) => [...wide, ...(times.get(compositeKey) ?? [])] };
  });
}

interface Change {
  readonly environment_id: number | null;
  readonly identifier: string | null;
  readonly time: number;
}

async function run<T>(databaseUrl: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Includes former keys of an environment. */
const KEYS = `
  SELECT id, api_key AS key FROM environments_environment
  UNION SELECT id, api_key FROM environments_historicalenvironment`;

const each = (table: string, timing: string, call: string) =>
  `CREATE TRIGGER soak_change AFTER INSERT OR UPDATE OR DELETE ON ${table} FOR EACH ${timing} EXECUTE FUNCTION ${call};`;

const TRIGGERS = `
  CREATE TABLE soak_change (environment_id int, identifier text, time timestamptz NOT NULL DEFAULT clock_timestamp());

  CREATE FUNCTION soak_identity() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP <> 'INSERT' THEN INSERT INTO public.soak_change VALUES (OLD.environment_id, OLD.identifier); END IF;
    IF TG_OP <> 'DELETE' THEN INSERT INTO public.soak_change VALUES (NEW.environment_id, NEW.identifier); END IF;
    RETURN NULL; END $$;

  CREATE FUNCTION soak_part() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.soak_change SELECT environment_id, identifier FROM public.environments_identity
     WHERE id = CASE TG_OP WHEN 'INSERT' THEN NULL ELSE OLD.identity_id END
        OR id = CASE TG_OP WHEN 'DELETE' THEN NULL ELSE NEW.identity_id END;
    RETURN NULL; END $$;

  CREATE FUNCTION soak_value() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.soak_change SELECT i.environment_id, i.identifier
      FROM public.environments_identity i JOIN public.features_featurestate s ON s.identity_id = i.id
     WHERE s.id = CASE TG_OP WHEN 'DELETE' THEN OLD.feature_state_id ELSE NEW.feature_state_id END;
    RETURN NULL; END $$;

  CREATE FUNCTION soak_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.soak_change VALUES (NULL, NULL); RETURN NULL; END $$;

  ${each('environments_identity', 'ROW', 'soak_identity()')}
  ${each('environments_trait', 'ROW', 'soak_part()')}
  ${each('features_featurestate', 'ROW', 'soak_part()')}
  ${each('features_featurestatevalue', 'ROW', 'soak_value()')}
  ${each('multivariate_multivariatefeaturestatevalue', 'ROW', 'soak_value()')}
  ${each('features_feature', 'STATEMENT', 'soak_all()')}
  ${each('multivariate_multivariatefeatureoption', 'STATEMENT', 'soak_all()')}
  ${each('environments_environment', 'STATEMENT', 'soak_all()')}`;

import { Client } from 'pg';

/**
 * Keeps every state of an environment from now on, as Flagsmith does on each save, even when a test changes its
 * row by SQL.
 */
export async function keepEnvironmentHistory(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(TRIGGER);
  } finally {
    await client.end();
  }
}

const TRIGGER = `
  CREATE SEQUENCE environments_historicalenvironment_history_id_seq;
  CREATE FUNCTION keep_environment() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
  BEGIN
    INSERT INTO public.environments_historicalenvironment
           (history_id, history_date, history_type, id, project_id, api_key)
    VALUES (nextval('public.environments_historicalenvironment_history_id_seq'), now(),
            CASE TG_OP WHEN 'INSERT' THEN '+' ELSE '~' END, NEW.id, NEW.project_id, NEW.api_key);
    RETURN NULL;
  END $$;
  CREATE TRIGGER keep_environment AFTER INSERT OR UPDATE ON environments_environment
    FOR EACH ROW EXECUTE FUNCTION keep_environment();
  -- Fixtures are written without triggers.
  ALTER TABLE environments_environment ENABLE ALWAYS TRIGGER keep_environment`;

import { execute } from '@edge-migration/identity/fixtures/core-rows.ts';

/** The unique index on (environment_id, identifier) in test/core/schema.sql. */
const INDEX = 'environments_identity_environment_id_identifier_012779df_uniq';

/**
 * Changes Core as an operating system upgrade does: the index on identifiers stays in the order of the former
 * rules (ICU's, where a < B), while comparisons follow others (C, where B < a). Needs a superuser.
 */
export async function driftCollation(databaseUrl: string): Promise<void> {
  await execute(
    databaseUrl,
    `ALTER TABLE environments_identity ALTER identifier TYPE varchar(2000) COLLATE "und-x-icu";
     UPDATE pg_attribute SET attcollation = 'pg_catalog."C"'::regcollation
      WHERE attname = 'identifier' AND attrelid IN ('environments_identity'::regclass, '${INDEX}'::regclass);
     UPDATE pg_index SET indcollation = ('0 ' || 'pg_catalog."C"'::regcollation::oid)::oidvector
      WHERE indexrelid = '${INDEX}'::regclass;
     ANALYZE environments_identity;`,
  );
}

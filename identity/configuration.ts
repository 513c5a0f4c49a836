import { regionName } from '@edge-migration/contract/region-name.ts';
import { secret } from '@edge-migration/runtime/configuration.ts';
import { z } from 'zod';
import { REPLICATION_LAG_SECONDS } from './edge/replication-lag.ts';

const tableName = z.string().regex(/^[a-zA-Z0-9_.-]{3,255}$/, 'must be a DynamoDB table name');

/** `us-east-2=https://…,sa-east-1=https://…`: endpoints by region. */
const regionEndpoints = z
  .string()
  .transform((text) => text.split(',').map((pair) => splitPair(pair.trim())))
  .pipe(z.array(z.tuple([regionName, z.url()])))
  .transform((pairs): Readonly<Record<string, string>> => Object.fromEntries(pairs));

/** `us-east-2,sa-east-1`. */
const regionNames = z
  .string()
  .transform((text): readonly string[] => text.split(',').map((name) => name.trim()))
  .pipe(z.array(regionName).readonly());

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}

/** Settings of Core's Postgres, shared by every process that reads it. */
export const coreSettings = {
  /** `postgres://user:password@host:port/database`; the primary, PgBouncer in transaction mode is fine. */
  databaseUrl: secret(),
  /** PEM file of the certificate authority that signed the server's certificate; switches TLS with verification on. */
  databaseCaFile: z.string().optional(),
  /** PEM files of a client certificate, if the server asks for one. */
  databaseCertificateFile: z.string().optional(),
  databaseKeyFile: z.string().optional(),
};

/**
 * Settings of Edge's DynamoDB tables. Credentials and region come from AWS's default chain (environment, profile,
 * web identity, pod identity), as in every AWS client.
 */
export const edgeSettings = {
  /** Overrides the endpoint of the home region, for DynamoDB Local and VPC endpoints. */
  dynamodbEndpoint: z.url().optional(),
  /** Default, in this order: AWS_REGION, AWS_DEFAULT_REGION, the profile's region, Flagsmith's own eu-west-2. */
  dynamodbRegion: z.string().optional(),
  /** Overrides endpoints of other regions of a global table; regions that are not named use AWS's own. */
  dynamodbRegionEndpoints: regionEndpoints.optional(),
  /**
   * Other regions of a global table with eventual consistency that are checked, in this order: a write is complete
   * once each of them has it.
   */
  dynamodbOtherRegions: regionNames.optional(),
  /** Appliers move to the next region that answers once the written one has been silent for this long; 0: never. */
  failoverAfterSeconds: z.coerce.number().min(0).max(86_400).default(0),
  /** How long the home region must have been answering before they return to it. */
  failoverReturnSeconds: z.coerce.number().min(1).max(86_400).default(300),
  identitiesTable: tableName.default('flagsmith_identities'),
  /** Longest time that a write takes to each other region of a global table with eventual consistency. */
  replicationLagSeconds: z.coerce.number().min(0).max(600).default(REPLICATION_LAG_SECONDS),
  /** `flagsmith_environments_v2`: identity overrides for local evaluation. Not written when unset. */
  environmentsV2Table: tableName.optional(),
  /** `flagsmith_project_metadata`: the migration status that Flagsmith's dashboard shows. Not written when unset. */
  projectMetadataTable: tableName.optional(),
  /** `flagsmith_environments`: the environment documents. Only read, by the operator; not read when unset. */
  environmentsTable: tableName.optional(),
  /** `flagsmith_environment_api_key`: the server keys. Only read, by the operator; not read when unset. */
  environmentsApiKeyTable: tableName.optional(),
};

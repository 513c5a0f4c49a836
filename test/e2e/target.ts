import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import type { WaitOptions } from '../cluster/wait.ts';
import type { ServingTestTables } from '../edge/serving-tables.ts';
import type { TestTables } from '../edge/tables.ts';
import type { Disturbance } from '../faults/disturbance.ts';
import type { StandInState } from '../handover/stand-in.ts';

/** What the end-to-end tests ask of an installation, whatever it is installed on. */
export interface TargetOptions {
  /** `EDGE_MIGRATION_PAGE_MAX_AGE_SECONDS` of the operator; 30 by default, as shipped. */
  pageMaxAgeSeconds?: number;
  /** Further environment variables of the operator's container. */
  operatorEnvironment?: Readonly<Record<string, string>>;
  /** Whether `environments_v2` and the project metadata table are configured. */
  optionalTables?: boolean;
  /** NATS, two Core API pods with sidecars, two appliers; the operator requires capture. */
  replay?: boolean;
  /** Operator and copy pods reach DynamoDB through {@link Target.dynamodb}. */
  dynamodbFaults?: boolean;
}

/** A proxy between the product and DynamoDB. */
export interface DynamodbFaults {
  /** Statements and requests that write, executed or not, so far. */
  writes(): Promise<number>;
  /** Lets requests fail from now on; none when there are no disturbances. */
  disturb(disturbances: readonly Disturbance[]): Promise<void>;
}

/** Settings that an administrator gets wrong. */
export interface StoreSettings {
  identitiesTable?: string;
  databaseUrl?: string;
}

/** The product, installed next to empty stores, and what tests do to it. */
export interface Target extends AsyncDisposable {
  readonly client: KubernetesClient;
  readonly tables: TestTables;
  /** Core's database as the test reaches it, with Flagsmith's schema, by a superuser. */
  readonly databaseUrl: string;
  /** The same as the product reaches it, by a user who can read. */
  readonly readerUrl: string;
  /** Namespace of operator and Jobs. */
  readonly namespace: string;
  /** There when `dynamodbFaults` was asked for. */
  readonly dynamodb?: DynamodbFaults;
  kubectl(args: readonly string[], options?: { input?: string }): Promise<string>;
  apply(projectId: number, spec?: Readonly<Record<string, unknown>>, namespace?: string): Promise<void>;
  migration(projectId: number, namespace?: string): Promise<EdgeMigration | undefined>;
  /** Waits until the EdgeMigration's condition has this status, and returns it. */
  condition(projectId: number, type: string, status: string, options?: Partial<WaitOptions>): Promise<EdgeMigration>;
  delete(projectId: number, namespace?: string): Promise<void>;
  /** Base URLs of the Core API through the sidecars of its ready pods, as the test reaches them. */
  coreApis(): Promise<string[]>;
  /** Changes settings of operator and workers, and waits until the operator runs with them. */
  reconfigure(settings: StoreSettings): Promise<void>;
  /** Ends a container's process by SIGKILL. */
  kill(namespace: string, pod: string, container: string): Promise<void>;
  /** Ends the API server by SIGKILL, and waits until it is back. */
  crashApiServer(): Promise<void>;
  stop(): Promise<void>;
}

/** How an installation lets Flagsmith hand projects over. */
export type HandoverMode = 'Run' | 'Verify';

/** An installation with the stand-in for Flagsmith's image in place of the Core API, and the tables that Flagsmith writes. */
export interface HandoverTarget extends Target {
  /** Of the Core API's pods. */
  readonly image: string;
  /** How long a hand-over may take: no longer than a test can wait for it. */
  readonly timeoutSeconds: number;
  readonly serving: ServingTestTables;
  /** What the stand-in has for a database. */
  readState(): Promise<StandInState>;
  writeState(state: StandInState): Promise<void>;
}

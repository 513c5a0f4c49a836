import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import type { WaitOptions } from '../cluster/wait.ts';
import type { ServingTestTables } from '../edge/serving-tables.ts';
import type { TestTables } from '../edge/tables.ts';
import type { Disturbance } from '../faults/disturbance.ts';
import type { StandInState } from '../handover/stand-in.ts';

/** The end-to-end tests' requirements on an installation of any kind. */
export interface TargetOptions {
  /** `EDGE_MIGRATION_PAGE_MAX_AGE_SECONDS` of the operator; 30 by default, as shipped. */
  pageMaxAgeSeconds?: number;
  /** Additional environment variables of the operator's container. */
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
  /** Number of writing statements and requests so far, executed or not. */
  writes(): Promise<number>;
  /** Makes requests fail from now on; an empty list ends that. */
  disturb(disturbances: readonly Disturbance[]): Promise<void>;
}

/** Settings that an administrator may get wrong. */
export interface StoreSettings {
  identitiesTable?: string;
  databaseUrl?: string;
}

/** The product, installed next to empty stores, and the tests' operations on it. */
export interface Target extends AsyncDisposable {
  readonly client: KubernetesClient;
  readonly tables: TestTables;
  /** Core's database for the test, with Flagsmith's schema, as a superuser. */
  readonly databaseUrl: string;
  /** The same for the product, as a read-only user. */
  readonly readerUrl: string;
  /** Namespace of operator and Jobs. */
  readonly namespace: string;
  /** Defined if `dynamodbFaults` was requested. */
  readonly dynamodb?: DynamodbFaults;
  kubectl(args: readonly string[], options?: { input?: string }): Promise<string>;
  apply(projectId: number, spec?: Readonly<Record<string, unknown>>, namespace?: string): Promise<void>;
  migration(projectId: number, namespace?: string): Promise<EdgeMigration | undefined>;
  /** Waits until the EdgeMigration's condition has this status, and returns it. */
  condition(projectId: number, type: string, status: string, options?: Partial<WaitOptions>): Promise<EdgeMigration>;
  delete(projectId: number, namespace?: string): Promise<void>;
  /** Base URLs of the Core API through the sidecars of its ready pods, reachable by the test. */
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
  /** Image of the Core API's pods. */
  readonly image: string;
  /** Time limit of a hand-over: no longer than a test can wait for it. */
  readonly timeoutSeconds: number;
  readonly serving: ServingTestTables;
  /** The stand-in's database. */
  readState(): Promise<StandInState>;
  writeState(state: StandInState): Promise<void>;
}

/**
 * Services that all test files of a run share: started on first demand, stopped at the end of the run.
 * Ask in `beforeAll`: its timeout allows for a start on a busy machine, a test's may not. A test that breaks a service
 * starts its own instead (`startPostgres`, `startNats`, …).
 */
import { inject } from 'vitest';
import { probeHttp } from './probe.ts';
import type { SharedServices } from './shared-broker.ts';

/** The first test to ask may wait for a start, the very first one for a build of minutes. */
const TIMEOUT_MS = 1_200_000;

export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  /** Closes all remaining connections. */
  drop(): Promise<void>;
}

/** A fresh Postgres database for the caller; with Core's schema (test/core/schema.sql) unless `schema` is false. */
export async function createDatabase(options: { schema?: boolean } = {}): Promise<TestDatabase> {
  const { url, name } = await ask('createDatabase', { schema: options.schema ?? true });
  const drop = async () => void (await ask('dropDatabase', { name }));
  return { url, drop, [Symbol.asyncDispose]: drop };
}

/** The run's DynamoDB Local; use your own table names. */
export const dynamodb = () => ask('dynamodb', {});

/** The run's server for global tables, and an access key of the caller's own: `startGlobalTable({ server, … })`. */
export const regionalDynamodb = () => ask('regionalDynamodb', {});

/** The run's nats-server with JetStream; use your own stream names. */
export const nats = () => ask('nats', {});

/** The run's control plane (RBAC on, no node): path of its admin's kubeconfig, and what a proxy needs; use namespaces of your own. */
export const kubernetes = () => ask('kubernetes', {});

async function ask<M extends keyof SharedServices>(
  method: M,
  argument: object,
): Promise<Awaited<ReturnType<SharedServices[M]>>> {
  const answer = await probeHttp(`${inject('sharedServices')}/${method}`, {
    method: 'POST',
    body: JSON.stringify(argument),
    timeoutMs: TIMEOUT_MS,
  });
  if (answer.status !== 200) throw new Error(`Shared service "${method}": ${answer.body}`);
  return JSON.parse(answer.body);
}

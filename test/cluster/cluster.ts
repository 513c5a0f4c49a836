import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { type Dynamodb, type DynamodbOptions, startDynamodb } from './dynamodb.ts';
import { type AccountsOptions, type NatsWithAccounts, startNatsWithAccounts } from './nats-accounts.ts';
import { type ClusterNode, type Images, type NodeOptions, startNode } from './node/node.ts';
import { type Postgres, type PostgresOptions, startPostgres } from './postgres.ts';

export interface ClusterOptions {
  images: Images;
  /** Services set to `false` are not started. */
  postgres?: PostgresOptions | false;
  nats?: AccountsOptions | false;
  dynamodb?: DynamodbOptions | false;
  node?: Pick<NodeOptions, 'name' | 'crashBackoff'>;
  signal?: AbortSignal;
}

/** The handle exists unless the option is `false`. */
type Unless<Option, T> = Option extends false ? undefined : T;

/** A control plane, a node and the services that the product needs. */
export interface Cluster<O extends ClusterOptions = ClusterOptions> extends ControlPlane {
  readonly node: ClusterNode;
  readonly postgres: Unless<O['postgres'], Postgres>;
  readonly nats: Unless<O['nats'], NatsWithAccounts>;
  readonly dynamodb: Unless<O['dynamodb'], Dynamodb>;
  /** Starts another node, which competes with the first for new pods. */
  addNode(name: string): Promise<ClusterNode>;
}

/**
 * Starts all parts at once, independent of any other instance, each service as soon as its own program exists; ready
 * in under 20 s when nothing has to be built.
 */
export async function startCluster<const O extends ClusterOptions>(options: O): Promise<Cluster<O>> {
  const { images, signal } = options;
  await using started = new AsyncDisposableStack();
  const [postgres, nats, dynamodb, controlPlane] = await startAll(
    started,
    options.postgres === false ? undefined : startPostgres({ ...withSignal(signal), ...options.postgres }),
    options.nats === false ? undefined : startNatsWithAccounts({ ...withSignal(signal), ...options.nats }),
    options.dynamodb === false ? undefined : startDynamodb({ ...withSignal(signal), ...options.dynamodb }),
    startControlPlane(withSignal(signal)),
  );
  const { kubeconfig, tls } = controlPlane;
  const addNode = async (nodeOptions: ClusterOptions['node']) =>
    stack.use(await startNode({ kubeconfig, images, tls, signal, ...nodeOptions }));
  let stack: AsyncDisposableStack = started;
  const node = await addNode(options.node);
  stack = started.move();
  const stop = () => stack.disposeAsync();
  const services = { postgres, nats, dynamodb } as Pick<Cluster<O>, 'postgres' | 'nats' | 'dynamodb'>;
  return {
    ...controlPlane,
    ...services,
    node,
    addNode: (name) => addNode({ ...options.node, name }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function withSignal(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** Waits for all of them even when one fails, so that `started` has everything that must be stopped. */
async function startAll<T extends readonly (Promise<AsyncDisposable> | undefined)[]>(
  started: AsyncDisposableStack,
  ...starting: T
): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }> {
  const results = await Promise.allSettled(starting);
  for (const result of results) if (result.status === 'fulfilled') started.use(result.value);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  return (await Promise.all(starting)) as { -readonly [I in keyof T]: Awaited<T[I]> };
}

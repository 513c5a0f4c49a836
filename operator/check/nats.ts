import { PARKING_STREAM, REPORT_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { COVERAGE_STREAM, findStream, STREAM } from '@edge-migration/contract/streams/events.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { connectNats, showServers } from '@edge-migration/runtime/nats/connection.ts';
import { type JetStreamManager, jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import { type CheckDetails, CheckError } from './check.ts';
import type { CheckConfiguration } from './config.ts';

/** A connection to NATS. */
export interface CheckedNats extends AsyncDisposable {
  readonly manager: JetStreamManager;
  /** The answering server. */
  readonly server: string;
}

/** Connects as the operator. Throws the problem; the signal's reason. */
export async function openNats(
  { natsServers, ...rest }: CheckConfiguration,
  clock: Clock,
  signal: AbortSignal,
): Promise<CheckedNats> {
  if (natsServers === undefined) {
    throw new CheckError('EDGE_MIGRATION_NATS_SERVERS is not set, and EDGE_MIGRATION_CAPTURE is Required');
  }
  const settings = { ...rest, natsServers };
  let problem: string | undefined;
  const onFailure = (error: unknown) => {
    problem = errorMessage(error);
  };
  const options = { name: 'edge-migration-check', role: 'operator', clock, signal, onFailure } as const;
  const connection = await connectNats(settings, options).catch((error) => {
    throw problem === undefined ? error : new CheckError(`${showServers(natsServers).join(', ')}: ${problem}`);
  });
  const close = () => connection.close();
  try {
    const manager = await jetstreamManager(connection);
    return { manager, server: connection.getServer(), [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A stream that is fuller will soon reject messages of sidecars and appliers. */
const FULL = 0.8;

/** The creator of a stream, and its purpose. */
const STREAMS: readonly (readonly [string, string])[] = [
  [STREAM, 'the operator'],
  [COVERAGE_STREAM, 'the operator'],
  [PARKING_STREAM, 'an applier'],
  [REPORT_STREAM, 'an applier'],
];

/**
 * Checks the account and every stream: that each can be queried proves the operator's rights on NATS, as far as reads
 * can.
 */
export async function checkStreams(manager: JetStreamManager, server: string): Promise<CheckDetails> {
  const account = await manager.getAccountInfo();
  const warnings: string[] = [];
  const found: string[] = [];
  for (const [name, maker] of STREAMS) {
    const stream = await findStream(manager, name).catch((error: unknown) => {
      throw new CheckError(`stream ${name} cannot be inspected: ${errorMessage(error)}`, { cause: error });
    });
    if (stream === undefined) warnings.push(`${maker} has not made stream ${name} yet`);
    else found.push(describeStream(stream, warnings));
  }
  const { storage, limits } = account;
  if (isFull(storage, limits.max_storage))
    warnings.push(`JetStream's storage is ${share(storage, limits.max_storage)} full`);
  return { text: `${server} has JetStream${found.map((one) => `, ${one}`).join('')}`, warnings };
}

function describeStream({ config, state }: StreamInfo, warnings: string[]): string {
  const { name, max_bytes: most, num_replicas: replicas } = config;
  if (isFull(state.bytes, most)) warnings.push(`stream ${name} is ${share(state.bytes, most)} full`);
  if (name === STREAM && state.consumer_count === 0)
    warnings.push(`stream ${name} has no consumer: no applier has begun to take events from it`);
  const copies = replicas === 1 ? '1 replica' : `${replicas} replicas`;
  return `${state.messages} messages in stream ${name} (${copies})`;
}

const isFull = (bytes: number, most: number) => most > 0 && bytes >= most * FULL;
const share = (bytes: number, most: number) => `${Math.floor((100 * bytes) / most)}%`;

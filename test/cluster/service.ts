import { type Exit, ProcessError, type ProcessSpec, startProcess, waitUntilReady } from './processes.ts';

/** One run of a server: a `ManagedProcess`, or a container with the same verbs. */
export interface Instance {
  readonly name: string;
  readonly pid: number;
  readonly exit: Exit | undefined;
  readonly exited: Promise<Exit>;
  signal(signal: NodeJS.Signals): boolean | Promise<void>;
  stop(graceMs?: number): Promise<Exit>;
  tail(lines?: number): Promise<string>;
}

/** A server that tests can break and restore; every handle of this folder's `start…` functions is one. */
export interface Service extends AsyncDisposable {
  readonly name: string;
  /** Pid of the current or last process; for a container, of its first one. */
  readonly pid: number;
  readonly running: boolean;
  /** Sends a signal (SIGKILL, SIGSTOP, SIGCONT, …); with SIGKILL it returns when the process is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Kills it if it still runs and restarts it with the same port and data; returns when it is ready. */
  restart(): Promise<void>;
  /** The last lines of the log. */
  tail(lines?: number): Promise<string>;
  /** Stops it and deletes its data. Safe to repeat. */
  stop(): Promise<void>;
}

export interface ServiceSpec {
  readonly name: string;
  /** Starts it, with its earlier data if it ran before. */
  launch(): Promise<Instance>;
  ready(): Promise<boolean>;
  readyTimeoutMs?: number;
  /** Passed to `stop`: time before SIGKILL. */
  graceMs?: number;
  /** An aborted start is stopped. */
  signal?: AbortSignal | undefined;
  /** Runs after it has stopped for good. */
  cleanUp(): Promise<void>;
  /** Text in the log of a failed start that justifies a retry, such as a predecessor that is not quite gone. */
  retryOn?: string;
}

/** Starts a server as a local process; see {@link superviseService}. */
export function startService(spec: ProcessSpec & Omit<ServiceSpec, 'launch'>): Promise<Service> {
  return superviseService({ ...spec, launch: () => startProcess(spec) });
}

/**
 * Starts a server in any form, and waits until it is ready.
 *
 * @throws ProcessError with the end of its log when it does not become ready; everything is then cleaned up
 */
export async function superviseService(spec: ServiceSpec): Promise<Service> {
  let current = await startReady(spec).catch(async (error) => {
    await spec.cleanUp();
    throw error;
  });
  const service: Service = {
    name: spec.name,
    get pid() {
      return current.pid;
    },
    get running() {
      return current.exit === undefined;
    },
    async kill(signal) {
      await current.signal(signal);
      if (signal === 'SIGKILL') await current.exited;
    },
    async restart() {
      await service.kill('SIGKILL');
      current = await startReady(spec);
    },
    tail: (lines) => current.tail(lines),
    async stop() {
      await current.stop(spec.graceMs);
      await spec.cleanUp();
    },
    [Symbol.asyncDispose]: () => service.stop(),
  };
  return service;
}

const START_ATTEMPTS = 20;

async function startReady(spec: ServiceSpec): Promise<Instance> {
  for (let attempt = 1; ; attempt++) {
    spec.signal?.throwIfAborted();
    const instance = await spec.launch();
    try {
      const { readyTimeoutMs: timeoutMs, signal } = spec;
      await waitUntilReady(instance, spec.ready, { signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
      return instance;
    } catch (error) {
      await instance.stop();
      const again = spec.retryOn !== undefined && error instanceof ProcessError && error.message.includes(spec.retryOn);
      if (!again || attempt === START_ATTEMPTS) throw error;
    }
  }
}

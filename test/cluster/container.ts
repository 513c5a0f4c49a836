import { requireEngine } from './engine.ts';
import { imageOf, type ServiceName } from './images.ts';
import { forgetContainer, reapContainer } from './reaper.ts';
import type { Instance } from './service.ts';

export interface ContainerSpec {
  readonly service: ServiceName;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Port inside, published under `hostPort` on this machine's loopback interface. */
  readonly port: number;
  readonly hostPort: number;
  /** Further published ports, from inside to outside. */
  readonly ports?: Readonly<Record<number, number>>;
}

/** A container that can be started, and restarted with its data. */
export interface ContainerSlot {
  launch(): Promise<Instance>;
  /** Deletes the container and its volumes. */
  remove(): Promise<void>;
}

type Engine = Awaited<ReturnType<typeof requireEngine>>;
type DockerContainer = ReturnType<Engine['container']['getById']>;

/** A placeholder for a service's container, which is created at its first launch. */
export function createContainer(spec: ContainerSpec): ContainerSlot {
  let container: DockerContainer | undefined;
  return {
    async launch() {
      container ??= await create(spec);
      await container.start();
      return follow(spec.service, container);
    },
    async remove() {
      if (container === undefined) return;
      await container.remove({ force: true, v: true }).catch(ignoreMissing);
      forgetContainer(container.id);
      container = undefined;
    },
  };
}

async function create(spec: ContainerSpec): Promise<DockerContainer> {
  const engine = await requireEngine();
  const ports = Object.entries({ [spec.port]: spec.hostPort, ...spec.ports });
  const container = await engine.container.create({
    Image: imageOf(spec.service),
    Cmd: [...spec.args],
    Env: Object.entries(spec.env ?? {}).map(([name, value]) => `${name}=${value}`),
    Labels: { 'edge-migration-test': spec.service },
    ExposedPorts: Object.fromEntries(ports.map(([inside]) => [`${inside}/tcp`, {}])),
    HostConfig: {
      PortBindings: Object.fromEntries(
        ports.map(([inside, outside]) => [`${inside}/tcp`, [{ HostIp: '127.0.0.1', HostPort: String(outside) }]]),
      ),
    },
  });
  reapContainer(container.id);
  return container;
}

/** A running container with the verbs of a local process. */
async function follow(name: string, container: DockerContainer): Promise<Instance> {
  const { State } = await container.inspect();
  let exit: Instance['exit'];
  const exited = container.wait().then(({ StatusCode }: { StatusCode: number }) => {
    exit = { code: StatusCode, signal: null };
    return exit;
  });
  return {
    name,
    pid: State.Pid,
    exited,
    get exit() {
      return exit;
    },
    async signal(signal) {
      // Signals all of its processes, like a process group; otherwise only the first one would get it.
      if (signal === 'SIGSTOP') await container.pause();
      else if (signal === 'SIGCONT') await container.unpause();
      else await container.kill({ signal }).catch(ignoreMissing);
    },
    async stop(graceMs = 5000) {
      if (exit === undefined) {
        await container.unpause().catch(ignoreMissing);
        await container.stop({ t: Math.ceil(graceMs / 1000) }).catch(ignoreMissing);
      }
      return await exited;
    },
    async tail(lines = 20) {
      const raw = await container.logs({ stdout: true, stderr: true, tail: lines });
      return plainLog(raw);
    },
  };
}

/** The engine frames each piece of a log with 8 bytes: stream, three zeros, length. */
function plainLog(raw: Buffer): string {
  const pieces: string[] = [];
  for (let at = 0; at + 8 <= raw.length; ) {
    const length = raw.readUInt32BE(at + 4);
    pieces.push(raw.toString('utf8', at + 8, at + 8 + length));
    at += 8 + length;
  }
  return pieces.join('').trimEnd();
}

/** Gone, stopped, or already in the wanted state. */
function ignoreMissing(error: { statusCode?: number }): void {
  if (error.statusCode === undefined || ![304, 404, 409, 500].includes(error.statusCode)) throw error;
}

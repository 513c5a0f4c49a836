/** The containers of one pod, in their order of start and end. */
import { join } from 'node:path';
import { type Container, createContainer, type Role } from './container.ts';
import type { PodContext } from './pod.ts';
import type { ContainerSpec } from './pod-spec.ts';
import type { PodFacts } from './pod-status.ts';
import { containerFolder, kubeconfigOf, mountsOf, type VolumeContext } from './volumes.ts';

export interface PodContainers {
  facts(): Pick<PodFacts, 'init' | 'sidecars' | 'main'>;
  /**
   * Runs the init containers in order, a sidecar only until it has started, then all main ones. Returns when the main
   * ones have ended for good, when a step has failed for good or after `end`.
   */
  run(): Promise<void>;
  /** Stops everything: the main containers first, then the sidecars in reverse order (KEP-753). Safe to repeat. */
  end(expired: AbortSignal): Promise<void>;
  /** Kills every process at once. */
  crash(): void;
  /** False when there is no such container or it does not run. */
  signal(container: string, signal: NodeJS.Signals): boolean;
}

interface Member {
  role: Role;
  container: Container;
}

const EXPIRED = AbortSignal.abort();

export function createPodContainers(volumes: VolumeContext, context: PodContext, onChange: () => void): PodContainers {
  const { spec } = volumes;
  const create = (container: ContainerSpec, role: Role): Member => ({
    role,
    container: createContainer(container, role, {
      ...volumes,
      image: findImage(context.images, container.image),
      mounts: mountsOf(container, volumes.folder),
      folder: containerFolder(volumes.folder, container.name),
      kubeconfig: kubeconfigOf(container, volumes.folder),
      logFolder: join(context.logFolder, container.name),
      crashBackoff: context.crashBackoff,
      onChange,
    }),
  });
  const init = spec.initContainers.map((each) => create(each, each.restartPolicy === 'Always' ? 'sidecar' : 'step'));
  const main = spec.containers.map((each) => create(each, 'main'));
  const all = [...init, ...main];
  const runs = new Map<Container, Promise<void>>();
  let end: Promise<void> | undefined;

  function start(container: Container): Promise<void> {
    const run = container.run();
    // Reported by `end`, which waits for it.
    run.catch(() => undefined);
    runs.set(container, run);
    return run;
  }

  async function endInOrder(expired: AbortSignal): Promise<void> {
    const isSidecar = ({ role }: Member) => role === 'sidecar';
    const terminate = async ({ container }: Member, after?: Promise<unknown>) => {
      await container.terminate(expired, after);
      await runs.get(container);
    };
    // Every sidecar is notified at once, because preStop hooks run at once; each one's SIGTERM waits for its turn.
    let before = Promise.all(all.filter((member) => !isSidecar(member)).map((member) => terminate(member)));
    const sidecars = init.filter(isSidecar).reverse();
    for (const sidecar of sidecars) before = Promise.all([before, terminate(sidecar, before)]) as Promise<never>;
    await before;
  }

  return {
    facts: () => ({
      init: init.map(({ container }) => container.status()),
      sidecars: new Set(init.flatMap(({ role, container }) => (role === 'sidecar' ? [container.name] : []))),
      main: main.map(({ container }) => container.status()),
    }),
    async run() {
      for (const { role, container } of init) {
        const run = start(container);
        await (role === 'sidecar' ? container.startedOnce : run);
        if (end !== undefined || (role === 'step' && container.status().state.terminated?.exitCode !== 0)) return;
      }
      await Promise.all(main.map(({ container }) => start(container)));
    },
    end(expired) {
      end ??= endInOrder(expired);
      return end;
    },
    crash() {
      const ends = all.map(({ container }) => container.terminate(EXPIRED));
      for (const { container } of all) container.signal('SIGKILL');
      end ??= Promise.all(ends).then(() => undefined);
    },
    signal: (name, signal) => all.find(({ container }) => container.name === name)?.container.signal(signal) ?? false,
  };
}

/** The entry of exactly this image, or of its repository without tag and digest. */
function findImage<T>(images: Readonly<Record<string, T>>, name: string): T | undefined {
  const repository = name.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
  return images[name] ?? images[repository];
}

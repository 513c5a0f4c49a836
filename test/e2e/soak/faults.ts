import { type Clock, systemClock } from '@edge-migration/identity/clock.ts';
import { PODS } from '@edge-migration/operator/edge-migration/resources.ts';
import type { Installation } from '../installation.ts';
import { CORE_API } from '../replay-parts.ts';
import type { Random } from './random.ts';

/** How long a frozen process stays frozen, in seconds; what others allow it before they give it up lies in between. */
export interface Patience {
  /** After which messages in an applier's hand are delivered again. */
  readonly ackWaitSeconds: number;
  /** After which the other operator takes over. */
  readonly leaseSeconds: number;
  /** After which a page in a copy pod's hand must not be written. */
  readonly pageMaxAgeSeconds: number;
}

export interface Faults {
  /** Breaks something every few seconds until the signal aborts; returns when all of it has been mended. */
  run(signal: AbortSignal): Promise<void>;
  /** By what was done, as `kill applier`. */
  readonly counts: ReadonlyMap<string, number>;
}

type Kind = 'applier' | 'sidecar' | 'api' | 'operator' | 'copy' | 'nats';
type Action = 'kill' | 'freeze';

const COMPONENTS: Record<Exclude<Kind, 'nats'>, { component: string; container: string }> = {
  applier: { component: 'applier', container: 'applier' },
  sidecar: { component: 'api', container: 'edge-migration-capture' },
  api: { component: 'api', container: 'flagsmith-api' },
  operator: { component: 'operator', container: 'operator' },
  copy: { component: 'copy', container: 'worker' },
};

const CHOICES: readonly (readonly [weight: number, choice: readonly [Kind, Action]])[] = [
  [4, ['applier', 'kill']],
  [3, ['applier', 'freeze']],
  [3, ['sidecar', 'kill']],
  [3, ['sidecar', 'freeze']],
  [1, ['api', 'kill']],
  [2, ['operator', 'kill']],
  [2, ['operator', 'freeze']],
  [4, ['copy', 'kill']],
  [4, ['copy', 'freeze']],
  [2, ['nats', 'kill']],
  [2, ['nats', 'freeze']],
];

/** Kills and freezes processes of the installation at random, several at a time, but none that is broken already. */
export function createFaults(
  installation: Installation,
  options: { random: Random; patience: Patience; pauseSeconds: readonly [number, number]; clock?: Clock },
): Faults {
  const { random, patience, pauseSeconds, clock = systemClock } = options;
  const { node, nats } = installation.cluster;
  const counts = new Map<string, number>();
  const broken = new Set<string>();
  const seconds = (from: number, to: number) => 1000 * (from + random.next() * (to - from));

  const frozenMillis: Record<Kind, () => number> = {
    applier: () => seconds(1, patience.ackWaitSeconds * 2.5),
    sidecar: () => seconds(1, 12),
    api: () => seconds(1, 3),
    operator: () => seconds(1, patience.leaseSeconds * 2),
    copy: () => seconds(patience.pageMaxAgeSeconds / 2, patience.pageMaxAgeSeconds * 1.6),
    nats: () => seconds(0.5, 8),
  };

  async function podsOf(kind: Exclude<Kind, 'nats'>): Promise<string[]> {
    const namespace = kind === 'sidecar' || kind === 'api' ? CORE_API.namespace : installation.namespace;
    const labelSelector = `app.kubernetes.io/component=${COMPONENTS[kind].component}`;
    const { items } = await installation.client.list(PODS, {
      namespace,
      labelSelector,
      fieldSelector: 'status.phase=Running',
    });
    return items.map(({ metadata }) => `${namespace}/${metadata.name}`);
  }

  /** What takes signals, under a name of its own; undefined when there is none that is whole. */
  async function choose(kind: Kind): Promise<{ name: string; signal: (name: NodeJS.Signals) => unknown } | undefined> {
    if (kind === 'nats') return broken.has('nats') ? undefined : { name: 'nats', signal: (name) => nats.kill(name) };
    const { container } = COMPONENTS[kind];
    const whole = (await podsOf(kind)).filter((pod) => !broken.has(`${pod}/${container}`));
    if (whole.length === 0) return undefined;
    const pod = random.pick(whole);
    const [namespace = '', podName = ''] = pod.split('/');
    return { name: `${pod}/${container}`, signal: (name) => node.signal(namespace, podName, container, name) };
  }

  async function breakOne(): Promise<void> {
    const [kind, action] = random.weighted(CHOICES);
    const millis = frozenMillis[kind]();
    const target = await choose(kind);
    if (target === undefined) return;
    broken.add(target.name);
    try {
      await target.signal(action === 'kill' ? 'SIGKILL' : 'SIGSTOP');
      counts.set(`${action} ${kind}`, (counts.get(`${action} ${kind}`) ?? 0) + 1);
      // Kubernetes starts the container again; NATS is not its business here.
      if (action === 'freeze' || kind === 'nats') await clock.sleep(millis);
      if (action === 'freeze') await target.signal('SIGCONT');
      else if (kind === 'nats') await nats.restart();
    } catch (error) {
      // It ended meanwhile: a copy that is complete, a container that is between two runs.
      if (!(error instanceof Error) || !error.message.endsWith('does not run')) throw error;
    } finally {
      broken.delete(target.name);
    }
  }

  return {
    counts,
    async run(signal) {
      const underWay = new Set<Promise<void>>();
      while (!signal.aborted) {
        const one = breakOne().finally(() => underWay.delete(one));
        underWay.add(one);
        await clock.sleep(seconds(...pauseSeconds), signal).catch(() => {});
      }
      await Promise.all(underWay);
    },
  };
}

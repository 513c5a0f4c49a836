import { PODS } from '@edge-migration/kubernetes/resources.ts';
import type { Installation } from '../../installation.ts';
import { CORE_API } from '../../replay-parts.ts';
import type { Random } from '../random.ts';

/** The possible targets. */
export type Kind = 'applier' | 'sidecar' | 'api' | 'operator' | 'copy' | 'nats';

const COMPONENTS: Record<Exclude<Kind, 'nats'>, { component: string; container: string }> = {
  applier: { component: 'applier', container: 'applier' },
  sidecar: { component: 'api', container: 'edge-migration-capture' },
  api: { component: 'api', container: 'flagsmith-api' },
  operator: { component: 'operator', container: 'operator' },
  copy: { component: 'copy', container: 'worker' },
};

/** A target that accepts signals. */
export interface Target {
  readonly name: string;
  signal(name: NodeJS.Signals): unknown;
}

export interface Targets {
  /** Names of the targets that are broken now. */
  readonly broken: Set<string>;
  /** A random intact one; undefined when there is none. */
  choose(kind: Kind): Promise<Target | undefined>;
}

export function createTargets({ client, cluster, namespace: own }: Installation, random: Random): Targets {
  const { node, nats } = cluster;
  const broken = new Set<string>();

  async function podsOf(kind: Exclude<Kind, 'nats'>): Promise<string[]> {
    const namespace = kind === 'sidecar' || kind === 'api' ? CORE_API.namespace : own;
    const labelSelector = `app.kubernetes.io/component=${COMPONENTS[kind].component}`;
    const { items } = await client.list(PODS, { namespace, labelSelector, fieldSelector: 'status.phase=Running' });
    return items.map(({ metadata }) => `${namespace}/${metadata.name}`);
  }

  return {
    broken,
    async choose(kind) {
      if (kind === 'nats') return broken.has('nats') ? undefined : { name: 'nats', signal: (name) => nats.kill(name) };
      const { container } = COMPONENTS[kind];
      const whole = (await podsOf(kind)).filter((pod) => !broken.has(`${pod}/${container}`));
      if (whole.length === 0) return undefined;
      const pod = random.pick(whole);
      const [namespace = '', podName = ''] = pod.split('/');
      return { name: `${pod}/${container}`, signal: (name) => node.signal(namespace, podName, container, name) };
    },
  };
}

/** A pod's status from the facts about its containers, by the rules of the kubelet (pkg/kubelet: getPhase, status/generate.go). */
export interface Terminated {
  exitCode: number;
  reason: string;
  message?: string;
  startedAt?: string;
  finishedAt: string;
}

/** Exactly one of the three. */
export interface ContainerState {
  waiting?: { reason: string; message?: string };
  running?: { startedAt: string };
  terminated?: Terminated;
}

export interface ContainerStatus {
  name: string;
  image: string;
  imageID: string;
  containerID?: string;
  state: ContainerState;
  lastState: ContainerState;
  ready: boolean;
  started: boolean;
  restartCount: number;
}

/** The inputs of a pod's status. */
export interface PodFacts {
  init: readonly ContainerStatus[];
  /** Names of the init containers that are sidecars. */
  sidecars: ReadonlySet<string>;
  main: readonly ContainerStatus[];
  /** Nothing of it will ever run again. */
  ended: boolean;
  /** Why it failed as a whole: an unsupported spec, a passed deadline. */
  failure?: { reason: string; message: string };
}

export interface Condition {
  type: string;
  status: 'True' | 'False';
  reason?: string;
  message?: string;
}

export type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

export function podPhase(facts: PodFacts): Phase {
  if (facts.failure !== undefined && facts.ended) return 'Failed';
  const steps = facts.init.filter(({ name }) => !facts.sidecars.has(name));
  if (facts.ended && steps.some((step) => !succeeded(step))) return 'Failed';
  if (!isInitialized(facts) || !facts.main.every(hasStarted)) return facts.ended ? 'Failed' : 'Pending';
  if (!facts.ended) return 'Running';
  return facts.main.every(succeeded) ? 'Succeeded' : 'Failed';
}

export function podConditions(facts: PodFacts): Condition[] {
  const phase = podPhase(facts);
  const completed = phase === 'Succeeded' ? { reason: 'PodCompleted' } : undefined;
  const failed = phase === 'Failed' ? { reason: 'PodFailed' } : undefined;
  const notInitialized = isInitialized(facts) ? [] : facts.init.filter((status) => !isInitDone(facts, status));
  const sidecars = facts.init.filter(({ name }) => facts.sidecars.has(name));
  const notReady = [...sidecars, ...facts.main].filter(({ ready }) => !ready);
  const because = (reason: string, text: string, culprits: ContainerStatus[]) => {
    const names = culprits.map(({ name }) => name).join(' ');
    return names === '' ? undefined : { reason, message: `containers with ${text} status: [${names}]` };
  };
  const readiness = completed ?? failed ?? because('ContainersNotReady', 'unready', notReady);
  return [
    condition('Initialized', because('ContainersNotInitialized', 'incomplete', notInitialized), completed),
    condition('ContainersReady', readiness),
    condition('Ready', readiness),
  ];
}

function condition(type: string, problem?: Partial<Condition>, note?: Partial<Condition>): Condition {
  return problem === undefined ? { ...note, type, status: 'True' } : { ...problem, type, status: 'False' };
}

/** Permanent once set: a later restart of a sidecar does not undo it. */
function isInitialized(facts: PodFacts): boolean {
  return facts.main.some(hasStarted) || facts.init.every((status) => isInitDone(facts, status));
}

function isInitDone(facts: PodFacts, status: ContainerStatus): boolean {
  return facts.sidecars.has(status.name) ? status.started : succeeded(status);
}

function hasStarted({ state, lastState }: ContainerStatus): boolean {
  return state.waiting === undefined || lastState.terminated !== undefined;
}

function succeeded({ state }: ContainerStatus): boolean {
  return state.terminated?.exitCode === 0;
}

/** RFC 3339 in whole seconds, as the API server stores it. */
export function timestamp(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

import { systemClock } from '@edge-migration/runtime/clock.ts';
import { type ContainerState, type ContainerStatus, timestamp } from './pod-status.ts';

/** The known state of a container, as its status shows it; emits changes. */
export interface ContainerRecord {
  readonly state: ContainerState;
  readonly restartCount: number;
  /** Sets a new state; a terminated one becomes the last state. */
  enter(state: ContainerState): void;
  wait(reason: string, message?: string): void;
  setStarted(started: boolean): void;
  setReady(ready: boolean): void;
  /** Counts another run. */
  restart(): void;
  /** No further run will come: from now on the status shows how the last one ended. */
  settle(): void;
  status(): ContainerStatus;
}

export interface RecordOptions {
  name: string;
  image: string;
  waitingReason: string;
  /** An init container that has completed counts as ready. */
  readyWhenDone: boolean;
  /** The process of the current or last run. */
  process(): { pid: number; command: string } | undefined;
  onChange(): void;
}

export function createRecord({ name, image, readyWhenDone, process, ...options }: RecordOptions): ContainerRecord {
  let state: ContainerState = { waiting: { reason: options.waitingReason } };
  let lastState: ContainerState = {};
  let restartCount = 0;
  let [started, ready] = [false, false];

  const changing =
    <A extends unknown[]>(change: (...args: A) => void) =>
    (...args: A) => {
      change(...args);
      options.onChange();
    };

  const enter = changing((next: ContainerState) => {
    if (state.terminated !== undefined) lastState = { terminated: state.terminated };
    if (next.terminated !== undefined) [started, ready] = [false, false];
    state = next;
  });

  return {
    get state() {
      return state;
    },
    get restartCount() {
      return restartCount;
    },
    enter,
    wait: (reason, message) => enter({ waiting: { reason, ...(message === undefined ? {} : { message }) } }),
    setStarted: changing((value: boolean) => {
      started = value;
    }),
    setReady: changing((value: boolean) => {
      ready = value;
    }),
    restart: changing(() => {
      restartCount++;
    }),
    settle: changing(() => {
      if (state.waiting === undefined) return;
      state = lastState.terminated === undefined ? neverRan() : lastState;
      lastState = {};
    }),
    status() {
      const current = process();
      return {
        ...{ name, image, state, lastState, started, restartCount },
        imageID: current === undefined ? '' : `process://${current.command}`,
        ...(current === undefined ? {} : { containerID: `process://${current.pid}` }),
        ready: ready || (readyWhenDone && state.terminated?.exitCode === 0),
      };
    },
  };
}

/** The kubelet's status for a container of unknown state (status_manager.go). */
function neverRan(): ContainerState {
  const message = 'The container could not be located when the pod was terminated';
  return {
    terminated: { exitCode: 137, reason: 'ContainerStatusUnknown', message, finishedAt: timestamp(systemClock.now()) },
  };
}

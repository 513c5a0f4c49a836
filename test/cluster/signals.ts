import { systemClock } from '@edge-migration/runtime/clock.ts';

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** A signal that is aborted when the promise is fulfilled. */
export function abortedWhen(promise: Promise<unknown>): AbortSignal {
  const controller = new AbortController();
  promise.then(
    () => controller.abort(),
    () => undefined,
  );
  return controller.signal;
}

/** Sleeps, but stops early without an error when the signal is aborted. */
export async function sleepUnless(signal: AbortSignal, milliseconds: number): Promise<void> {
  await systemClock.sleep(milliseconds, signal).catch(() => undefined);
}

/** Runs some work with a resource that several checks share. */
export type Shared<T> = <R>(signal: AbortSignal, work: (opened: T) => Promise<R>) => Promise<R>;

/** It is opened by the first check that needs it, and closed after the last. */
export function share<T extends AsyncDisposable>(open: (signal: AbortSignal) => Promise<T>): Shared<T> {
  let users = 0;
  let opening: Promise<T> | undefined;

  return async (signal, work) => {
    users += 1;
    opening ??= open(signal);
    const mine = opening;
    try {
      return await work(await mine);
    } finally {
      users -= 1;
      if (users === 0) {
        opening = undefined;
        await mine.then(
          (opened) => opened[Symbol.asyncDispose](),
          () => {},
        );
      }
    }
  };
}

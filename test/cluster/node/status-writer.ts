import { ApiError } from '../api-client.ts';
import { sleepUnless } from '../signals.ts';

export interface StatusWriter {
  /** The rendered state may have changed. */
  request(): void;
  /** Returns when the current state is written, or never will be. */
  flush(): Promise<void>;
}

const RETRY_MS = 250;

/**
 * Keeps an object at the API server equal to the result of `render`: one write at a time, the newest state only, with
 * retries while the server is away. It ends when the object is gone (404, 409) or the signal is aborted; a write that
 * the server refuses for another reason is reported and not repeated.
 */
export function createStatusWriter(options: {
  render(): object;
  write(status: object): Promise<unknown>;
  onRefused(error: ApiError): void;
  signal: AbortSignal;
}): StatusWriter {
  const { render, write, onRefused, signal } = options;
  let written = '';
  let ended = false;
  let writing: Promise<void> | undefined;

  async function writeUntilEqual() {
    for (;;) {
      const status = render();
      const text = JSON.stringify(status);
      if (text === written || ended || signal.aborted) return;
      try {
        await write(status);
        written = text;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 404 || error.status === 409) ended = true;
        else if (isTemporary(error)) await sleepUnless(signal, RETRY_MS);
        else {
          onRefused(error);
          written = text;
        }
      }
    }
  }

  function request(): Promise<void> {
    writing ??= writeUntilEqual().finally(() => {
      writing = undefined;
    });
    return writing;
  }

  return {
    request: () => void request(),
    async flush() {
      await writing;
      await request();
    },
  };
}

/** No answer, or one that means "later". The API server answers 401 and 403 while it is still starting. */
export function isTemporary({ status }: ApiError): boolean {
  return status === 0 || status === 401 || status === 403 || status === 429 || status >= 500;
}

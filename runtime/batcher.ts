/** Loads one item as part of a batch. */
export interface Batcher<Question, Answer> {
  /**
   * The result of a load that begins after this call. Equal names within one load are loaded once. Rejects as the load
   * does.
   */
  ask(name: string, question: Question): Promise<Answer>;
}

export interface BatcherOptions {
  /** Maximum number of items in one load; 500 by default. */
  readonly most?: number;
  /** Parallel loads; one by default. */
  readonly parallel?: number;
  /** Whether a single item may be the cause of a failed load; the others are then loaded without it. */
  isolates?(error: unknown): boolean;
}

interface Asked<Question, Answer> {
  readonly question: Question;
  readonly answer: PromiseWithResolvers<Answer>;
}

/**
 * Collects requests while loads are running (or within one turn of the event loop), for the next load.
 *
 * @param load returns results in the order of the requests
 */
export function createBatcher<Question, Answer>(
  load: (questions: readonly Question[]) => Promise<readonly Answer[]>,
  { most = 500, parallel = 1, isolates = () => false }: BatcherOptions = {},
): Batcher<Question, Answer> {
  const waiting = new Map<string, Asked<Question, Answer>>();
  let loaders = 0;

  async function loadWaiting(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.size > 0) await answer(takeBatch());
    loaders -= 1;
  }

  function takeBatch(): Asked<Question, Answer>[] {
    const batch: Asked<Question, Answer>[] = [];
    for (const [name, asked] of waiting) {
      if (batch.length === most) break;
      batch.push(asked);
      waiting.delete(name);
    }
    return batch;
  }

  async function answer(batch: readonly Asked<Question, Answer>[]): Promise<void> {
    try {
      const answers = await load(batch.map(({ question }) => question));
      for (const [index, asked] of batch.entries()) asked.answer.resolve(answers[index] as Answer);
    } catch (error) {
      if (batch.length === 1 || !isolates(error)) for (const asked of batch) asked.answer.reject(error);
      else {
        const middle = batch.length >> 1;
        await answer(batch.slice(0, middle));
        await answer(batch.slice(middle));
      }
    }
  }

  return {
    ask(name, question) {
      let asked = waiting.get(name);
      if (asked === undefined) {
        asked = { question, answer: Promise.withResolvers() };
        waiting.set(name, asked);
      }
      if (loaders < parallel) {
        loaders += 1;
        void loadWaiting();
      }
      return asked.answer.promise;
    },
  };
}

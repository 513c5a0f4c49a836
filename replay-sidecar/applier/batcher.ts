/** Asks one question for many. */
export interface Batcher<Question, Answer> {
  /** Questions of the same name within one batch are one. Rejects as the batch's load does. */
  ask(name: string, question: Question): Promise<Answer>;
}

interface Waiting<Question, Answer> {
  readonly question: Question;
  readonly answer: PromiseWithResolvers<Answer>;
}

/** No statement gets longer lists than this. */
const MOST = 500;

/**
 * Collects what is asked while a load is under way (or within one turn of the event loop), for the next load.
 *
 * @param load answers in the order of the questions
 */
export function createBatcher<Question, Answer>(
  load: (questions: readonly Question[]) => Promise<readonly Answer[]>,
): Batcher<Question, Answer> {
  const waiting = new Map<string, Waiting<Question, Answer>>();
  let isLoading = false;

  async function loadAll(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.size > 0) {
      const batch = [...waiting].slice(0, MOST);
      for (const [name] of batch) waiting.delete(name);
      try {
        const answers = await load(batch.map(([, { question }]) => question));
        for (const [index, [, { answer }]] of batch.entries()) answer.resolve(answers[index] as Answer);
      } catch (error) {
        for (const [, { answer }] of batch) answer.reject(error);
      }
    }
    isLoading = false;
  }

  return {
    ask(name, question) {
      let one = waiting.get(name);
      if (one === undefined) {
        one = { question, answer: Promise.withResolvers() };
        waiting.set(name, one);
      }
      if (!isLoading) {
        isLoading = true;
        void loadAll();
      }
      return one.answer.promise;
    },
  };
}

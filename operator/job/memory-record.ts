import type { WorkerRecord } from './record.ts';

type Texts = Readonly<Record<string, string>>;

/** For a worker that is never resumed. */
export function createMemoryRecord(initial?: Texts): WorkerRecord & { texts(): Texts } {
  let texts = initial;
  return {
    load: async () => texts,
    known: () => texts,
    save: async (saved) => {
      texts = saved;
    },
    texts: () => texts ?? {},
  };
}

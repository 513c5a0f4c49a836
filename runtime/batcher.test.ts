import { expect, test } from 'vitest';
import { createBatcher } from './batcher.ts';

/** A load whose calls are answered by hand. */
function createLoad() {
  const calls: { questions: readonly string[]; answer: PromiseWithResolvers<readonly string[]> }[] = [];
  const load = (questions: readonly string[]) => {
    const answer = Promise.withResolvers<readonly string[]>();
    calls.push({ questions, answer });
    return answer.promise;
  };
  return { calls, load };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('items requested in one turn are loaded together, and equal ones once', async () => {
  const { calls, load } = createLoad();
  const { ask } = createBatcher(load);
  const answers = Promise.all([ask('a', 'a'), ask('b', 'b'), ask('a', 'a')]);
  await turn();
  expect(calls.map(({ questions }) => questions)).toEqual([['a', 'b']]);
  calls[0]?.answer.resolve(['A', 'B']);
  expect(await answers).toEqual(['A', 'B', 'A']);
});

test('items requested during a load are answered by a later one, never by that one', async () => {
  const { calls, load } = createLoad();
  const { ask } = createBatcher(load);
  const early = ask('a', 'a');
  await turn();
  const late = ask('a', 'a');
  await turn();
  expect(calls).toHaveLength(1);
  calls[0]?.answer.resolve(['old']);
  expect(await early).toBe('old');
  await turn();
  calls[1]?.answer.resolve(['new']);
  expect(await late).toBe('new');
});

test('loads never exceed the allowed size and number', async () => {
  const { calls, load } = createLoad();
  const { ask } = createBatcher(load, { most: 2, parallel: 2 });
  const answers = Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => ask(name, name)));
  await turn();
  expect(calls.map(({ questions }) => questions)).toEqual([
    ['a', 'b'],
    ['c', 'd'],
  ]);
  for (const { questions, answer } of calls) answer.resolve(questions);
  await turn();
  expect(calls[2]?.questions).toEqual(['e']);
  calls[2]?.answer.resolve(['e']);
  expect(await answers).toEqual(['a', 'b', 'c', 'd', 'e']);
});

test('an item that makes loads fail fails alone', async () => {
  const load = async (questions: readonly string[]) => {
    if (questions.includes('poison')) throw new Error('unanswerable');
    return questions;
  };
  const { ask } = createBatcher(load, { isolates: () => true });
  const names = ['a', 'b', 'poison', 'c', 'd'];
  const answers = await Promise.allSettled(names.map((name) => ask(name, name)));
  expect(answers.map(({ status }) => status)).toEqual(
    names.map((name) => (name === 'poison' ? 'rejected' : 'fulfilled')),
  );
});

test('an error that no single item causes fails all requests', async () => {
  const { ask } = createBatcher(async () => Promise.reject(new Error('away')));
  const answers = await Promise.allSettled([ask('a', 'a'), ask('b', 'b')]);
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});

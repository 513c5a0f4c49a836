import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Intent } from './intents.ts';
import type { OutboxEvent } from './outbox.ts';
import { createSpool, type Spool } from './spool.ts';
import {
  draft,
  drain,
  eventOf,
  type Folder,
  identifierOf,
  type ManualClock,
  manualClock,
  openSpool,
  type TestSpool,
  temporaryFolder,
  turn,
} from './testing.ts';

/** Two segments of events, more of intents, of five requests: `finished-0` to `-2`, `silent` without events, `open`. */
async function writeSample(path: string): Promise<void> {
  await using opened = await openSpool(path, { segmentBytes: 600 });
  const { spool, clock } = opened;
  for (const index of [0, 1, 2]) {
    const intent = await spool.begin([draft(`finished-${index}`)]);
    clock.advance(10);
    if (index === 1) (await spool.begin([draft('silent')])).finish({ outcome: 'known', drafts: [] });
    intent.finish({ outcome: 'known' });
    clock.advance(1000);
  }
  await spool.begin([draft('open')]);
}

async function recover(path: string): Promise<{ events: OutboxEvent[]; gaps: ReturnType<Spool['gaps']['list']> }> {
  await using opened = await openSpool(path, { clock: manualClock(Date.parse('2026-06-01T00:01:00Z')) });
  const events = await drain(opened.spool);
  return { events, gaps: opened.spool.gaps.list() };
}

const segmentsOf = (path: string) =>
  readdirSync(path)
    .filter((name) => name !== 'state')
    .sort();

describe('a spool whose process was killed', () => {
  let sample: Folder;
  beforeAll(async () => {
    sample = temporaryFolder();
    await writeSample(sample.path);
    expect(segmentsOf(sample.path).filter((name) => name.endsWith('.spool'))).toHaveLength(2);
  });
  afterAll(() => sample[Symbol.dispose]());

  it('loses no leftovers to requests that begin and end while they are read', async () => {
    using copy = temporaryFolder(sample.path);
    const spool = createSpool({
      ...{ directory: copy.path, clock: manualClock(Date.parse('2026-06-01T00:01:00Z')), instance: 'api-1/uid-1' },
      ...{ limitBytes: 16 * 1024 * 1024, safetyMs: 60_000, sync: 'none', segmentBytes: 2048 },
      ...{ onReady: () => undefined, onError: (error: unknown) => expect.unreachable(String(error)) },
    });
    await spool.open();
    const recovering = spool.recover();
    // Enough to fill files of intents, which go as soon as the requests in them have ended.
    for (let index = 0; index < 20; index++) {
      (await spool.begin([draft('silent')])).finish({ outcome: 'known', drafts: [] });
    }
    await recovering;
    for (let turns = 0; turns < 100; turns++) await turn();
    expect((await drain(spool)).map(identifierOf)).toEqual(
      expect.arrayContaining(['finished-0', 'finished-1', 'finished-2', 'open']),
    );
    expect(spool.gaps.list()).toEqual([]);
    await spool.close();
  });

  it('hands out finished requests as known, the others as unknown, and omits those that changed nothing', async () => {
    using copy = temporaryFolder(sample.path);
    const { events, gaps } = await recover(copy.path);
    expect(events.map((one) => `${identifierOf(one)} ${eventOf(one).outcome}`).sort()).toEqual([
      'finished-0 known',
      'finished-1 known',
      'finished-2 known',
      'open unknown',
    ]);
    expect(gaps).toEqual([]);
  });

  it('loses at most the record that was being written, at any byte of a write, and knows of no gap', async () => {
    const last = ['.spool', '.intents'].map((kind) => segmentsOf(sample.path).findLast((name) => name.endsWith(kind))!);
    const size = (name: string) => readFileSync(join(sample.path, name)).length;
    const whole = (await recoverCut(last[0]!, size(last[0]!))).names;
    expect(whole).toContain('open unknown');
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...last), fc.nat(), async (name, place) => {
        const { names, gaps } = await recoverCut(name, place % size(name));
        expect(gaps).toEqual([]);
        // A finish that was cut off leaves its intent, in this segment or the one before.
        for (const name of ['finished-0 known', 'finished-1 known']) expect(names).toContain(name);
        for (const name of names) expect([...whole, 'finished-2 unknown', 'silent unknown']).toContain(name);
      }),
      { numRuns: 60 },
    );
  });

  async function recoverCut(segment: string, length: number) {
    using copy = temporaryFolder(sample.path);
    truncateSync(join(copy.path, segment), length);
    const { events, gaps } = await recover(copy.path);
    return { names: events.map((one) => `${identifierOf(one)} ${eventOf(one).outcome}`), gaps };
  }

  it('hands out the rest if its disk then flips bits, and reports what it lost as a gap', async () => {
    const names = segmentsOf(sample.path);
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: names.length - 1 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (index, place, change) => {
          using copy = temporaryFolder(sample.path);
          const path = join(copy.path, names[index]!);
          const bytes = readFileSync(path);
          const at = place % bytes.length;
          bytes[at] = bytes[at]! ^ change;
          writeFileSync(path, bytes);
          const { events, gaps } = await recover(copy.path);
          expect(gaps.map((gap) => gap.reason)).toEqual(['spoolLost']);
          const came = new Set(events.map(identifierOf));
          for (const [name, began] of BEGAN) {
            const moment = Date.parse('2026-06-01T00:00:00Z') + began;
            const inGap = gaps.some((gap) => Date.parse(gap.from) <= moment && moment <= Date.parse(gap.until!));
            expect(came.has(name) || inGap, `${name} at ${moment}`).toBe(true);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
  const BEGAN = [
    ['finished-0', 0],
    ['finished-1', 1010],
    ['finished-2', 2020],
    ['open', 3030],
  ] as const;
});

/** The test's knowledge of one request. */
interface Expected {
  name: string;
  intent: Intent;
  state: 'open' | 'published' | 'silent';
  /** By the time for which the stream was trusted. */
  acknowledgedAt: number | undefined;
}

type Step =
  | { do: 'begin' }
  | { do: 'finish'; which: number; silent: boolean }
  | { do: 'take'; count: number }
  | { do: 'acknowledge'; count: number }
  | { do: 'rewind' }
  | { do: 'wait'; seconds: number; trusted: boolean }
  | { do: 'crash' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('begin' as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('finish' as const), which: fc.nat(), silent: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('take' as const), count: fc.integer({ min: 1, max: 20 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('acknowledge' as const), count: fc.integer({ min: 1, max: 20 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rewind' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      seconds: fc.integer({ min: 1, max: 150 }),
      trusted: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
);

/** The spool beside a list of the calls made to it. */
class Model {
  private readonly clock: ManualClock = manualClock();
  private readonly requests: Expected[] = [];
  private readonly folders: Folder[] = [temporaryFolder()];
  private opened!: TestSpool;
  private taken: OutboxEvent[] = [];
  private sequence = 0;
  private trusted = 0;

  private get path(): string {
    return this.folders.at(-1)!.path;
  }

  async open(): Promise<void> {
    this.opened = await openSpool(this.path, { clock: this.clock, memoryCharacters: 1000, segmentMs: 10_000 });
    this.taken = [];
  }

  async run(action: Step): Promise<void> {
    const { spool } = this.opened;
    if (action.do === 'begin') {
      const name = `request-${this.requests.length}`;
      const intent = await spool.begin([draft(name)]);
      this.requests.push({ name, intent, state: 'open', acknowledgedAt: undefined });
    } else if (action.do === 'finish') this.finish(action.which, action.silent);
    else if (action.do === 'take') await this.take(action.count);
    else if (action.do === 'acknowledge') for (let i = 0; i < action.count; i++) this.acknowledge();
    else if (action.do === 'wait') {
      if (action.trusted) this.elapse(action.seconds * 1000);
      else {
        spool.observeDoubt();
        this.clock.advance(action.seconds * 1000);
      }
      await spool.tick();
    } else if (action.do === 'rewind') {
      spool.outbox.rewind();
      this.taken = [];
    } else await this.crash();
  }

  private elapse(milliseconds: number): void {
    this.opened.elapse(milliseconds);
    this.trusted += milliseconds;
  }

  private finish(which: number, silent: boolean): void {
    const open = this.requests.filter((request) => request.state === 'open');
    const request = open[which % open.length];
    if (request === undefined) return;
    request.state = silent ? 'silent' : 'published';
    request.intent.finish(silent ? { outcome: 'known', drafts: [] } : { outcome: 'known' });
  }

  private async take(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const delivery = this.opened.spool.outbox.next();
      if (delivery === undefined) await turn();
      else this.taken.push(delivery);
    }
  }

  private acknowledge(): void {
    const delivery = this.taken.shift();
    if (delivery === undefined) return;
    this.opened.spool.outbox.acknowledge(delivery, ++this.sequence);
    this.requestOf(delivery).acknowledgedAt = this.trusted;
  }

  private requestOf(delivery: OutboxEvent): Expected {
    const request = this.requests.find(({ name }) => name === identifierOf(delivery));
    if (request === undefined) throw new Error(`nobody asked for ${delivery.json}`);
    return request;
  }

  /** The next process finds the files as the kernel has them at this moment. */
  private async crash(): Promise<void> {
    const next = temporaryFolder(this.path);
    await this.opened.spool.close();
    this.folders.push(next);
    for (const request of this.requests) if (request.state === 'open') request.state = 'published';
    await this.open();
  }

  /** Everything not yet in the stream, or there for less than the safety time, must come (again). */
  async check(): Promise<void> {
    const { spool } = this.opened;
    for (const request of this.requests) if (request.state === 'open') this.finish(0, false);
    spool.outbox.rewind();
    const recent = this.trusted - 60_000;
    const owed = this.requests.filter(
      ({ state, acknowledgedAt }) => state === 'published' && (acknowledgedAt ?? Infinity) > recent,
    );
    const came = new Set((await drain(spool)).map((delivery) => this.requestOf(delivery).name));
    expect([...came]).toEqual(expect.arrayContaining(owed.map(({ name }) => name)));
    expect(spool.gaps.list()).toEqual([]);
    expect(this.opened.errors).toEqual([]);
    while (spool.facts().bytes > 0) {
      this.elapse(30_000);
      await spool.tick();
      await turn();
    }
    expect(spool.facts()).toMatchObject({ open: 0, depth: 0, allSentUntil: this.clock.now() });
  }

  async close(): Promise<void> {
    await this.opened.spool.close();
    for (const folder of this.folders) folder[Symbol.dispose]();
  }
}

describe('the spool beside a model of it', () => {
  it('never loses an event before its safety time is over, through any sequence of steps and crashes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const model = new Model();
        await model.open();
        try {
          for (const one of steps) await model.run(one);
          await model.check();
        } finally {
          await model.close();
        }
      }),
      { numRuns: 150 },
    );
  });
});

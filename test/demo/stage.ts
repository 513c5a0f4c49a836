import { describeBuilds } from '../cluster/cache.ts';
import { startPostgres } from '../cluster/postgres.ts';
import { CLUSTER, prepare } from '../cluster/prepare.ts';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { createCore, type Installation, install } from '../e2e/installation.ts';
import { waitForCoreApis } from './replay.ts';
import type { Screen, Step } from './screen.ts';

/** The environment of the demo. */
export interface Stage extends AsyncDisposable {
  readonly installation: Installation;
  readonly seeded: SeededProject;
}

/** Starts everything: services without a build run, and are filled, while the rest is built. */
export async function setStage(screen: Screen, identities: number, signal: AbortSignal): Promise<Stage> {
  await using starting = new AsyncDisposableStack();
  const building = buildPrograms(screen, signal);
  const postgres = await screen.step('Postgres', async () => starting.use(await startPostgres({ signal })));
  const databaseUrl = await createCore(postgres, 'flagsmith');
  const installing = install({ signal, pageMaxAgeSeconds: 10, replay: true, core: { postgres, databaseUrl } });
  // If anything fails from here on, it ends too.
  starting.defer(() => installing.then((installation) => installation.stop()).catch(() => undefined));
  building.promise.catch(() => undefined);
  const seeded = await screen.step(
    `a Flagsmith project with ${identities.toLocaleString('en-US')} identities, and another around it`,
    () => seedProject(databaseUrl, { identities, unmigratable: 0.0005 }),
  );
  await building.show();
  const installation = await screen.step(
    'Kubernetes, DynamoDB, NATS; two replicas of the operator and of the applier',
    () => installing,
  );
  await screen.step('two pods of a Core API, each with the capture sidecar in front', () =>
    waitForCoreApis(installation),
  );
  const stack = starting.move();
  return { installation, seeded, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Builds in the background; `show` gets the progress until it is done, and nothing if everything existed. */
function buildPrograms(screen: Screen, signal: AbortSignal) {
  let state = '';
  let step: Step | undefined;
  const promise = prepare(CLUSTER, {
    signal,
    report(progress) {
      state = describeBuilds(progress);
      step?.say(state);
    },
  });

  async function show(): Promise<void> {
    if (state === '') return promise;
    await screen.step('programs of the cluster', (current) => {
      step = current;
      current.say(state);
      return promise;
    });
  }

  return { promise, show };
}

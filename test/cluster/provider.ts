import { readTestConfiguration } from '../configuration.ts';
import { findEngine } from './engine.ts';
import { IMAGES, obtainImage, type ServiceName } from './images.ts';

/** How Postgres, NATS and DynamoDB Local run. The control plane and the pods are always processes. */
export type ServiceProvider = 'containers' | 'processes';

/** This process's provider: processes, unless {@link chooseProvider} or the caller's TEST_SERVICES says otherwise. */
export function serviceProvider(): ServiceProvider {
  return readTestConfiguration().TEST_SERVICES === 'containers' ? 'containers' : 'processes';
}

/**
 * Decides for a test run where its services run, logs it once on standard error, and passes it to the processes that
 * this one starts. Demo and benchmarks do not ask: they show and measure local processes.
 *
 * @throws Error when TEST_SERVICES=containers is requested but unavailable
 */
export async function chooseProvider(): Promise<ServiceProvider> {
  const { TEST_SERVICES: wanted } = readTestConfiguration();
  const { provider, reason } = wanted === 'processes' ? forced('processes') : await examine(wanted === 'containers');
  process.stderr.write(`Postgres, NATS and DynamoDB Local run as ${provider} (${reason}; TEST_SERVICES decides)\n`);
  // The test files' processes inherit it.
  process.env['TEST_SERVICES'] = provider;
  return provider;
}

interface Choice {
  provider: ServiceProvider;
  reason: string;
}

const forced = (provider: ServiceProvider): Choice => ({ provider, reason: `TEST_SERVICES=${provider}` });

async function examine(required: boolean): Promise<Choice> {
  const problem = await findProblem();
  if (required && problem !== undefined) throw new Error(`TEST_SERVICES=containers, but ${problem}`);
  if (required) return forced('containers');
  if (problem !== undefined) return { provider: 'processes', reason: problem };
  return { provider: 'containers', reason: 'a Docker engine answers and has their images' };
}

/** The reason why services cannot be containers here. */
async function findProblem(): Promise<string | undefined> {
  const engine = await findEngine();
  if (engine === undefined) return 'no Docker engine answers';
  for (const service of Object.keys(IMAGES) as ServiceName[]) {
    try {
      await obtainImage(engine, service);
    } catch (error) {
      const [line] = (error instanceof Error ? error.message : String(error)).split('\n');
      return `a Docker engine answers, but the image of ${service} cannot be had: ${line}`;
    }
  }
  return undefined;
}

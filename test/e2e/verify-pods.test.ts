import { LABELS, type LastComparison } from '@edge-migration/contract/edge-migration/api.ts';
import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import { openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { CONFIG_MAPS, PODS } from '@edge-migration/kubernetes/resources.ts';
import { parseVerifyCheckpoint } from '@edge-migration/operator/verify/checkpoint.ts';
import { countComparedIdentities } from '@edge-migration/operator/verify/totals.ts';
import { CORRUPTIONS } from '@edge-migration/operator/verify/worker/testing/corruptions.ts';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { install } from './install.ts';
import type { Target } from './target.ts';

const MINUTES = 60_000;
/** Few enough for one range, so that one pod after the other gets it. */
const IDENTITIES = 3_000;
/** So slow that the comparison cannot end before its pods are killed, and each second of it is saved. */
const READ_UNITS = 75;
/** Kubernetes waits 10 s, then 20 s, before it starts the next pod of a range. */
const KILLS_AT = [200, 500];

let installation: Target;
let seeded: SeededProject;

beforeAll(async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'local');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'local');
  installation = await install({ pageMaxAgeSeconds: 3 });
  seeded = await seedProject(installation.databaseUrl, { identities: IDENTITIES, unmigratable: 0.005, neighbours: 20 });
  await request({ afterCopy: 'Never' });
  await installation.condition(seeded.projectId, 'Copied', 'True', { timeoutMs: 5 * MINUTES });
  await damage();
}, 10 * MINUTES);

afterAll(async () => {
  await installation?.stop();
  vi.unstubAllEnvs();
});

const request = (verify: object, retry?: string) =>
  installation.apply(seeded.projectId, {
    copy: { parallelism: 1, pageSize: 100 },
    verify: { afterCopy: 'Never', ...verify },
    ...(retry === undefined ? {} : { retry }),
  });

async function damage(): Promise<void> {
  const edge = openEdge(installation.tables.settings);
  const items = (await installation.tables.scan()).filter((item) => (item['identity_traits']?.L?.length ?? 0) > 1);
  const damages = CORRUPTIONS.filter(({ finds, needsOverride }) => !needsOverride && !finds.includes('rows'));
  for (const [index, { apply }] of damages.entries()) {
    await apply(edge, items[index] as Item, seeded.environments[0]?.id ?? 0);
  }
  edge.close();
}

interface Report {
  last: LastComparison;
  samples: string[];
}

/** The result of the comparison requested with this token; undefined until it is done. */
async function findLast(token: string): Promise<LastComparison | undefined> {
  const { verification } = (await installation.migration(seeded.projectId))?.status ?? {};
  return verification?.token === token ? verification.last : undefined;
}

async function readReport(token: string): Promise<Report> {
  const last = await waitFor(() => findLast(token), { for: token, timeoutMs: 4 * MINUTES });
  const place = { namespace: installation.namespace, name: last.reportName ?? '' };
  const object = await installation.client.get(CONFIG_MAPS, place);
  const data = (object?.['data'] ?? {}) as Record<string, string>;
  return { last, samples: (data['samples.jsonl'] ?? '').trim().split('\n').sort() };
}

/** Label selector of the comparison with this number. */
const selectorOf = (number: number) => `${LABELS.projectId}=${seeded.projectId},${LABELS.component}=verify-${number}`;

/** Number of identities compared in its range, by its checkpoint; undefined while there is none. */
async function readCompared(number: number): Promise<number | undefined> {
  const { namespace } = installation;
  const { items } = await installation.client.list(CONFIG_MAPS, { namespace, labelSelector: selectorOf(number) });
  const texts = items.map((item) => (item['data'] as Record<string, string> | undefined)?.['checkpoint']);
  const checkpoint = texts.map(parseVerifyCheckpoint).find((each) => each !== undefined);
  return checkpoint && countComparedIdentities(checkpoint.totals);
}

/** Kills the process of its running pod; returns the pod's name. */
async function killPod(number: number): Promise<string> {
  const { namespace } = installation;
  const fieldSelector = 'status.phase=Running';
  const { items } = await installation.client.list(PODS, {
    namespace,
    fieldSelector,
    labelSelector: selectorOf(number),
  });
  const [name = ''] = items.map(({ metadata }) => metadata.name);
  await installation.kill(namespace, name, 'worker');
  return name;
}

/** The fields in which both must agree: everything but times, costs and storage. */
const outcome = ({ last, samples }: Report) => {
  const { coreChecksum, edgeChecksum } = last;
  const counts = Object.entries(last).filter(([name]) => /^(?:identities|documents|findings)/.test(name));
  return { coreChecksum, edgeChecksum, counts, samples };
};

test('a comparison whose pod is killed repeatedly resumes where it was, and finds the same differences', {
  timeout: 10 * MINUTES,
}, async () => {
  await request({}, 'verify-whole');
  const whole = await readReport('verify-whole');
  expect(whole.samples.length).toBeGreaterThan(10);

  await request({ maxReadUnitsPerSecond: READ_UNITS }, 'verify-killed');
  const compared: number[] = [];
  const isAt = async (identities: number) => {
    compared.push((await readCompared(2)) ?? compared.at(-1) ?? 0);
    return compared.at(-1)! >= identities;
  };
  const killed = new Set<string>();
  for (const identities of KILLS_AT) {
    const reached = { for: `${identities} compared identities`, timeoutMs: 3 * MINUTES, intervalMs: 50 };
    await waitFor(() => isAt(identities), reached);
    killed.add(await killPod(2));
  }
  expect(killed.size).toBe(KILLS_AT.length);
  await request({ maxReadUnitsPerSecond: 4_000 }, 'verify-killed');
  const isDone = async () => (await isAt(IDENTITIES)) || (await findLast('verify-killed')) !== undefined;
  await waitFor(isDone, { for: 'the end', timeoutMs: 3 * MINUTES, intervalMs: 50 });
  // A pod that started over would save less than the one before it had.
  expect(compared).toEqual(compared.toSorted((a, b) => a - b));
  expect(outcome(await readReport('verify-killed'))).toEqual(outcome(whole));
});

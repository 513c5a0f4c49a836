/** A first-time user's path in a browser: the pressed buttons, and the page's messages. */
import { readFile } from 'node:fs/promises';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import {
  findOverflow,
  findViolations,
  hasChromium,
  problemsOf,
  startBrowser,
  type TestBrowser,
  tabTo,
} from '../console/browser.ts';
import { createUser, EDIT, startConsole } from '../console/run.ts';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { traitsOf } from '../edge/traits.ts';
import { installEmbedded } from './embedded.ts';
import type { Installation } from './installation.ts';

const MINUTE = 60_000;
const DAY_SECONDS = 86_400;
const IDENTITIES = 700;
/** So slow that the copy cannot end before it was seen under way. */
const WRITE_UNITS = 25;

/** A person's way to use the page: mouse or keyboard. */
interface Hands {
  press(page: Page, name: string): Promise<void>;
  tick(page: Page, label: string): Promise<void>;
  write(page: Page, label: string, text: string): Promise<void>;
}

/** An open dialog covers the rest of the page. */
const foreground = async (page: Page) => {
  const dialog = page.getByRole('dialog');
  return (await dialog.count()) > 0 ? dialog : page;
};

const MOUSE: Hands = {
  press: async (page, name) =>
    (await foreground(page))
      .locator('button, a, summary')
      .filter({ hasText: new RegExp(`^${name}$`) })
      .click(),
  tick: (page, label) => page.getByLabel(label).check(),
  write: (page, label, text) => page.getByLabel(label).fill(text),
};
const KEYBOARD: Hands = {
  async press(page, name) {
    await tabTo(page, name);
    await page.keyboard.press('Enter');
  },
  async tick(page, label) {
    await tabTo(page, label);
    await page.keyboard.press('Space');
  },
  async write(page, label, text) {
    await tabTo(page, label);
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.insertText(text);
  },
};

const PEOPLE = [
  { who: 'with a mouse', hands: MOUSE, screen: { viewport: { width: 1280, height: 900 }, colorScheme: 'light' } },
  {
    who: 'on a phone in the dark, with the keyboard alone',
    hands: KEYBOARD,
    screen: { viewport: { width: 390, height: 844 }, colorScheme: 'dark' },
  },
] as const;

const started = new AsyncDisposableStack();
let installation: Installation;
let seeded: SeededProject[];
let browser: TestBrowser;
let url: string;
let token: string;

/** One write to Core, by an app that does not know about Edge yet. */
async function writeToCore({ environments }: SeededProject, trait: string): Promise<void> {
  const api = await waitFor(async () => (await installation.coreApis())[0], { for: 'a Core API that is ready' });
  const response = await fetch(`${api}/api/v1/identities/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-environment-key': environments[0]!.apiKey },
    body: JSON.stringify({ identifier: 'ada@example.com', traits: [{ trait_key: 'plan', trait_value: trait }] }),
  });
  expect(response.status).toBe(200);
}

async function readPlan({ environments }: SeededProject): Promise<unknown> {
  const document = await installation.tables.get(`${environments[0]!.apiKey}_ada@example.com`);
  return document && traitsOf(document)['plan'];
}

/** As an administrator, by other means than the page. */
async function setRate(projectId: number, maxWriteUnitsPerSecond: number): Promise<void> {
  const patch = JSON.stringify({ spec: { copy: { maxWriteUnitsPerSecond } } });
  const name = `project-${projectId}`;
  await installation.kubectl(['patch', 'em', name, '-n', installation.namespace, '--type=merge', '-p', patch]);
}

const windowOf = async ({ projectId }: SeededProject) =>
  (await installation.migration(projectId))!.spec!.replay.windowSeconds;

/** The page's text beside a label. */
const fact = (page: Page, name: string) =>
  page.locator('dl.facts > div', { has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) }).locator('dd');

/** Checks that all that is shown now is accessible. */
async function expectAccessible(page: Page): Promise<void> {
  expect(await findViolations(page)).toEqual([]);
  expect(await findOverflow(page)).toBe(0);
}

describe.runIf(hasChromium)('a newcomer on the web page', { timeout: 15 * MINUTE }, () => {
  beforeAll(async () => {
    const opening = startBrowser();
    started.defer(async () => (await opening)[Symbol.asyncDispose]());
    installation = started.use(await installEmbedded({ pageMaxAgeSeconds: 8, replay: true }));
    const { client, cluster, namespace, databaseUrl } = installation;
    const settings = { identities: IDENTITIES, unmigratable: 0.003 };
    seeded = [await seedProject(databaseUrl, settings), await seedProject(databaseUrl, { ...settings, seed: 2 })];
    const kubeConfig = loadKubeConfig(cluster.kubeconfig);
    ({ url } = started.use(await startConsole({ kubeConfig, namespace })));
    token = await createUser(client, namespace, 'newcomer', EDIT);
    browser = await opening;
    const areReady = async () => (await installation.coreApis()).length === 2;
    await waitFor(areReady, { for: 'the Core API', timeoutMs: 4 * MINUTE });
  }, 10 * MINUTE);
  afterAll(() => started.disposeAsync());

  test.concurrent.for(PEOPLE.map((person, index) => ({ ...person, index })))(
    '$who goes from the plan to the report',
    async ({ hands, screen, index }, { expect: expectHere }) => {
      await using page = await browser.open(screen);
      const project = seeded[index]!;
      await signIn(page, hands);
      await makePlan(page, hands, project);
      await start(page, hands, project);
      await writeAndSee(page, project);
      await findAgain(page, hands, project);
      await extend(page, hands, project);
      await finish(page, hands, project);
      await keepReport(page, hands, project);
      expectHere(problemsOf.get(page)).toEqual([]);
    },
  );
});

async function signIn(page: Page, { press, write }: Hands): Promise<void> {
  await page.goto(url);
  await page.getByLabel('Bearer token').waitFor();
  await expectAccessible(page);
  await write(page, 'Bearer token', token);
  await press(page, 'Sign in');
  await page.getByRole('heading', { level: 1, name: 'Projects' }).waitFor();
  await expectAccessible(page);
}

const startButton = (page: Page) =>
  page.getByRole('main').getByRole('button', { name: 'Migrate Identity Data to Edge API' });

async function makePlan(page: Page, { press, write }: Hands, { projectId, environments }: SeededProject) {
  await press(page, 'Migrate a project');
  await write(page, 'Project id', String(projectId));
  await press(page, 'Show the plan');
  await startButton(page).waitFor();
  expect(await startButton(page).isEnabled()).toBe(false);
  await expectAccessible(page);
  await press(page, 'Create the plan');
  await fact(page, 'Can be migrated').waitFor();
  expect(await fact(page, 'Identities in Core').textContent()).toBe(String(IDENTITIES));
  expect(await fact(page, 'Can be migrated').textContent()).toBe(String(IDENTITIES - 2));
  expect(await fact(page, 'Time').textContent()).toMatch(/^about /);
  await expectAccessible(page);
  const written = await Promise.all(environments.map(({ apiKey }) => installation.tables.count(apiKey)));
  expect(Math.max(...written)).toBe(0);
}

async function start(page: Page, { press, write }: Hands, { projectId }: SeededProject): Promise<void> {
  await press(page, 'Settings');
  await write(page, 'Maximum write units per second', '19');
  await page.getByRole('alert').getByText('A whole number from 20 to 400,000.').waitFor();
  expect(await startButton(page).isEnabled()).toBe(false);
  await expectAccessible(page);
  await write(page, 'Maximum write units per second', String(WRITE_UNITS));
  await press(page, 'Migrate Identity Data to Edge API');
  const bar = page.getByRole('progressbar', { name: 'Progress of the copy' });
  const share = async () => Number((await bar.count()) > 0 && (await bar.getAttribute('aria-valuenow')));
  const isUnderWay = async () => {
    const now = await share();
    return now > 0 && now < 100;
  };
  await waitFor(isUnderWay, { for: 'a bar that grows', timeoutMs: 3 * MINUTE, intervalMs: 100 });
  expect((await installation.migration(projectId))!.spec!.copy.maxWriteUnitsPerSecond).toBe(WRITE_UNITS);
  await setRate(projectId, 4000);
  await waitFor(async () => (await share()) === 100, { for: 'a bar that is full', timeoutMs: 3 * MINUTE });
  await page.getByText('Following Core').first().waitFor();
  const { status } = (await installation.migration(projectId))!;
  expect(await fact(page, 'Copied').textContent()).toBe(String(status.copy?.identitiesCopied));
  await expectAccessible(page);
}

async function writeAndSee(page: Page, project: SeededProject): Promise<void> {
  await writeToCore(project, 'gold');
  const isInEdge = async () => (await readPlan(project)) === 'gold';
  await waitFor(isInEdge, { for: 'the write in Edge', timeoutMs: 3 * MINUTE });
  await fact(page, 'Last write applied').waitFor();
  expect(Number(await fact(page, 'Writes applied').textContent())).toBeGreaterThan(0);
}

async function findAgain(page: Page, { press }: Hands, { projectId }: SeededProject): Promise<void> {
  await press(page, 'All projects');
  await page.getByRole('heading', { level: 1, name: 'Projects' }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type(`project-${projectId}`);
  await page.getByText('Page 1 of 1').waitFor();
  await waitFor(async () => (await page.locator('tbody tr').count()) === 1, { for: 'the one project' });
  await expectAccessible(page);
  await press(page, `Project ${projectId}`);
  await page.getByRole('heading', { level: 1, name: `Project ${projectId}` }).waitFor();
}

async function extend(page: Page, { press }: Hands, project: SeededProject): Promise<void> {
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Extend the window' }).waitFor();
  await press(page, 'Extend the window');
  await expectAccessible(page);
  await press(page, '14 days');
  await press(page, 'Extend the window');
  await dialog.waitFor({ state: 'detached' });
  expect(await windowOf(project)).toBe((28 + 14) * DAY_SECONDS);
  await page.getByRole('timer').getByText('41', { exact: true }).first().waitFor();
}

async function finish(page: Page, { press, tick }: Hands, project: SeededProject): Promise<void> {
  const dialog = page.getByRole('dialog');
  await press(page, 'Finish now');
  await dialog.getByText('will not reach Edge any more').waitFor();
  await expectAccessible(page);
  await press(page, 'Cancel');
  await dialog.waitFor({ state: 'detached' });
  expect(await windowOf(project)).toBe((28 + 14) * DAY_SECONDS);
  await press(page, 'Finish now');
  await tick(page, 'I understand');
  // The message goes after some seconds.
  const told = page.getByText(/The migration stops following Core at /).waitFor();
  await Promise.all([told, press(page, 'Finish now')]);
  await dialog.waitFor({ state: 'detached' });
  // A minute is left, counted down in seconds.
  await page.getByRole('timer').getByText('00', { exact: true }).first().waitFor();
  expect(await windowOf(project)).toBeLessThan(DAY_SECONDS);
  await expectAccessible(page);
}

async function keepReport(page: Page, { press }: Hands, { projectId }: SeededProject): Promise<void> {
  const name = 'Download as Markdown';
  await page.getByRole('button', { name }).waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), press(page, name)]);
  expect(download.suggestedFilename()).toBe(`project-${projectId}.md`);
  const report = await readFile(await download.path(), 'utf8');
  expect(report).toContain(`Migration of project ${projectId}`);
  expect(report).toContain(`| Copied | ${IDENTITIES - 2} |`);
}

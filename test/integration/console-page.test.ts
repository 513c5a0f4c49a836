/** The console's page in a real Chromium, on a real API server, for people and their tools. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EDGE_MIGRATIONS, type Status } from '@edge-migration/contract/edge-migration/api.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import {
  findOverflow,
  findViolations,
  focused,
  hasChromium,
  problemsOf,
  startBrowser,
  type TestBrowser,
  tabTo,
} from '../console/browser.ts';
import { buildFleet, buildQuietFleet, buildSeries, type FleetMember } from '../console/fleet.ts';
import { type ConsoleStage, startConsoleStage } from '../console/stage.ts';

/** Folder for the documentation's pictures, which are made if this is set. */
const SCREENSHOTS = process.env['SCREENSHOTS'];
const QUIET = 60;
const HOSTILE = `<img src=x onerror="document.title='owned'"><script>alert(1)</script>`;

let stage: ConsoleStage;
let browser: TestBrowser;
const fleet = buildFleet(Date.now());
const open: AsyncDisposable[] = [];

const memberOf = (projectId: number): FleetMember => fleet.find((member) => member.projectId === projectId)!;
interface StoredSpec {
  readonly mode: string;
  readonly suspend: boolean;
  readonly replay: { readonly windowSeconds: number };
}
const specOf = async (projectId: number) => (await stage.migration(projectId))?.['spec'] as StoredSpec | undefined;
const until = (text: string, check: () => Promise<boolean>) => waitFor(check, { for: text, timeoutMs: 120_000 });

/** It moves right after what is shown has changed. */
const hasFocus = (page: Page, name: string) =>
  until(`the focus to be on ${name}`, async () => (await focused(page)) === name);

interface Appearance {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
}

/** Opens a place of the page, signed in. */
async function enter(
  hash: string,
  { width = 1280, height = 900, dark = false }: Appearance = {},
  token = stage.tokens.editor,
) {
  const page = await browser.open({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light' });
  open.push(page);
  await page.goto(`${stage.url}/${hash}`);
  await page.getByLabel('Bearer token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('h1').waitFor();
  return page;
}

const project = (id: number) => `#/projects/${id}?namespace=${stage.namespace}`;
const heading = (page: Page, name: string) => page.getByRole('heading', { level: 1, name }).waitFor();

describe.runIf(hasChromium)('the console page', () => {
  beforeAll(async () => {
    stage = await startConsoleStage();
    for (const member of [...fleet, ...buildQuietFleet(Date.now(), QUIET)]) await stage.put(member);
    await stage.client.create(CONFIG_MAPS, buildSeries(stage.namespace));
    await stage.put({ ...memberOf(107), projectId: 666, projectName: HOSTILE, spec: { projectId: 666 } });
    browser = await startBrowser();
  });

  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]();
    await stage?.[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    const pages = open.splice(0) as (Page & AsyncDisposable)[];
    const problems = pages.flatMap((page) => problemsOf.get(page) ?? []);
    await Promise.all(pages.map((page) => page[Symbol.asyncDispose]()));
    expect(problems).toEqual([]);
  });

  test('asks for a token, explains why a wrong one is refused, and keeps the right one only in memory', async () => {
    const page = await browser.open();
    open.push(page);
    await page.goto(stage.url);
    await page.getByLabel('Bearer token').fill('not.a.token');
    await page.keyboard.press('Enter');
    await page.getByText('Kubernetes does not accept this token').waitFor();
    await page.getByLabel('Bearer token').fill(stage.tokens.editor);
    await page.keyboard.press('Enter');
    await heading(page, 'Projects');
    const kept = await page.evaluate(
      'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])',
    );
    expect(kept).not.toContain(stage.tokens.editor.slice(0, 20));
    await page.reload();
    await page.getByLabel('Bearer token').waitFor();
  });

  test('lists projects in pages that the server searches, filters and sorts', async () => {
    const page = await enter('#/?page_size=25');
    const rows = page.locator('tbody tr');
    await until('the first page', async () => (await rows.count()) === 25);
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText('Page 2 of 3').waitFor();
    expect(page.url()).toContain('page=2');
    await page.goBack();
    await page.getByText('Page 1 of 3').waitFor();
    await page.getByRole('searchbox').fill('acme');
    await until('what is searched for', async () => (await rows.count()) === 2);
    await page.getByRole('searchbox').fill('');
    await page.getByRole('button', { name: /^Copying/ }).click();
    await until('what is copying', async () => (await rows.count()) === 1);
    await page.getByRole('link', { name: 'Acme web shop' }).click();
    await heading(page, 'Acme web shop');
  });

  test('shows a name that contains markup as text', async () => {
    const page = await enter(project(666));
    await heading(page, HOSTILE);
    expect(await page.locator('main img, main script').count()).toBe(0);
    await until('the title', async () => (await page.title()) === `${HOSTILE} · Edge migration`);
  });

  test('follows a migration live until it is deleted', async () => {
    const copying = memberOf(101).status!;
    const live = { ...memberOf(101), projectId: 201, projectName: 'Live', spec: { projectId: 201 } };
    await stage.put(live);
    const page = await enter(project(201));
    await page.getByText('63%').first().waitFor();
    const next: Status = {
      ...copying,
      copy: { ...copying.copy, identitiesRead: 1_600_000, identitiesPerSecond: 3111 },
    };
    await stage.put({ ...live, status: next });
    await page.getByText('86%').first().waitFor();
    await page.getByText('3,111/s').waitFor();
    await stage.client.delete(EDGE_MIGRATIONS, { namespace: stage.namespace, name: 'project-201' });
    await page.getByText('was deleted, or you may not see it any more').waitFor();
  });

  test('shows the plan before the button is enabled, and starts the migration with the chosen settings', async () => {
    const page = await enter('#/');
    await page.getByRole('button', { name: 'Migrate a project' }).click();
    await page.getByLabel('Project id').fill('x1');
    await page.keyboard.press('Enter');
    await page.getByText('A project id is a whole number').waitFor();
    await page.getByLabel('Project id').fill('301');
    await page.keyboard.press('Enter');
    const button = page.getByRole('button', { name: 'Migrate Identity Data to Edge API' });
    await button.waitFor();
    expect(await button.isEnabled()).toBe(false);
    await page.getByRole('button', { name: 'Create the plan' }).click();
    await until('the plan to be asked for', async () => (await specOf(301))?.mode === 'Plan');
    expect(await button.isEnabled()).toBe(false);
    await stage.put({ ...memberOf(103), projectId: 301 });
    await page.getByText('214,653').waitFor();
    await page.getByText('about 1.83 USD').waitFor();
    await page.getByText('Settings').click();
    await page.getByLabel('Days for which writes to Core are replayed').fill('14');
    // Five for each of the four pods.
    await page.getByLabel('Maximum write units per second').fill('19');
    await page.getByRole('alert').getByText('A whole number from 20 to 400,000.').waitFor();
    await page.getByText('Available once the settings are valid.').waitFor();
    expect(await button.isEnabled()).toBe(false);
    await page.getByLabel('Maximum write units per second').fill('20');
    await button.click();
    await until('the migration to be started', async () => (await specOf(301))?.mode === 'Migrate');
    expect(await specOf(301)).toMatchObject({
      replay: { windowSeconds: 14 * 86_400 },
      copy: { maxWriteUnitsPerSecond: 20 },
    });
  });

  test('can be used with the keyboard alone: search, open, suspend, and confirm what cannot be undone', async () => {
    await stage.put({ ...memberOf(102), projectId: 401, projectName: 'Keyboard', spec: { projectId: 401 } });
    const page = await browser.open();
    open.push(page);
    await page.goto(stage.url);
    await page.getByLabel('Bearer token').waitFor();
    await tabTo(page, 'Bearer token');
    await page.keyboard.insertText(stage.tokens.editor);
    await page.keyboard.press('Enter');
    await heading(page, 'Projects');
    await page.keyboard.press('/');
    await page.keyboard.type('Keyboard');
    await page.getByText('Page 1 of 1').waitFor();
    await tabTo(page, 'Keyboard');
    await page.keyboard.press('Enter');
    await heading(page, 'Keyboard');
    await hasFocus(page, 'Keyboard');
    await tabTo(page, 'Suspend');
    await page.keyboard.press('Enter');
    await until('it to be suspended', async () => (await specOf(401))?.suspend === true);
    await page.getByRole('button', { name: 'Resume' }).waitFor();
    await tabTo(page, 'Resume');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Finish now' }).waitFor();
    await tabTo(page, 'Finish now');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await hasFocus(page, 'Finish now');
    const { windowSeconds } = (await specOf(401))!.replay;
    await page.keyboard.press('Enter');
    await page.getByText('This cannot be undone.').waitFor();
    await tabTo(page, 'I understand');
    await page.keyboard.press('Space');
    await tabTo(page, 'Finish now');
    await page.keyboard.press('Enter');
    const isShorter = async () => (await specOf(401))!.replay.windowSeconds < windowSeconds;
    await until('the window to be closed', isShorter);
  });

  test('accepts a confirmation only with its box ticked, and extends without one', async () => {
    await stage.put({ ...memberOf(102), projectId: 402, projectName: null, spec: { projectId: 402 } });
    const page = await enter(project(402));
    await page.getByRole('button', { name: 'Finish now' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Finish now' }).click();
    expect(await page.getByRole('dialog').isVisible()).toBe(true);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Extend the window' }).click();
    await page.getByRole('button', { name: '14 days' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Extend the window' }).click();
    await until('the window to be extended', async () => {
      return (await specOf(402))!.replay.windowSeconds === (28 + 14) * 86_400;
    });
  });

  test('says at once what extending a closed window means', async () => {
    const spec = { projectId: 404, replay: { windowSeconds: 19 * 86_400 - 3600 } };
    await stage.put({ ...memberOf(102), projectId: 404, projectName: null, spec });
    const page = await enter(project(404));
    await page.getByRole('button', { name: 'Extend the window' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('writes to Core since then were not followed').waitFor();
    await dialog.getByRole('button', { name: '7 days', exact: true }).click();
    await dialog.getByLabel('I understand').check();
    expect(await dialog.getByText('Something has changed').count()).toBe(0);
    await dialog.getByRole('button', { name: 'Extend the window' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect((await specOf(404))!.replay.windowSeconds).toBe(26 * 86_400 - 3600);
  });

  test('asks a question again when there is new information by the time of its answer', async () => {
    const { stillOnCore, ...replay } = memberOf(102).status!.replay!;
    const member = { ...memberOf(102), projectId: 403, projectName: null, spec: { projectId: 403 } };
    await stage.put({ ...member, status: { ...member.status, replay } });
    const page = await enter(project(403));
    await page.getByRole('button', { name: 'Finish now' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('will not reach Edge any more').waitFor();
    await stage.put({ ...member, status: { ...member.status, replay: { ...replay, stillOnCore } } });
    await dialog.getByLabel('I understand').check();
    await dialog.getByRole('button', { name: 'Finish now' }).click();
    await dialog.getByText('about 1,930 requests a day').waitFor();
    await hasFocus(page, 'I understand');
    expect(await dialog.getByLabel('I understand').isChecked()).toBe(false);
    expect(await findViolations(page)).toEqual([]);
    expect((await specOf(403))!.replay.windowSeconds).toBe(28 * 86_400);
    await dialog.getByLabel('I understand').check();
    await dialog.getByRole('button', { name: 'Finish now' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect((await specOf(403))!.replay.windowSeconds).toBeLessThan(28 * 86_400);
  });

  test('asks first when Core is to overwrite what is on Edge', async () => {
    const spec = { projectId: 302, mode: 'Plan', copy: { onConflict: 'CoreWins' } };
    await stage.put({ ...memberOf(103), projectId: 302, spec });
    const page = await enter(project(302));
    await page.getByRole('button', { name: 'Migrate Identity Data to Edge API' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('including those that apps have written to Edge').waitFor();
    expect((await specOf(302))?.mode).toBe('Plan');
    await dialog.getByLabel('I understand').check();
    await dialog.getByRole('button', { name: 'Migrate Identity Data to Edge API' }).click();
    await until('the migration to be started', async () => (await specOf(302))?.mode === 'Migrate');
  });

  test('tells a read-only user so, and offers no actions', async () => {
    const page = await enter(project(102), {}, stage.tokens.viewer);
    await page.getByText('Not possible now').click();
    await page.getByText('You may not do this').first().waitFor();
    expect(await page.getByRole('button', { name: 'Suspend' }).count()).toBe(0);
  });

  test('shows per day who is still on Core, and marks a day that was not counted', async () => {
    const page = await enter(project(102));
    await page.getByText('flagsmith-ios-sdk/3.6.1').first().waitFor();
    const days = page.getByRole('list', { name: 'Identity writes to Core per day' }).getByRole('listitem');
    await until('the days', async () => (await days.count()) === 20);
    expect(await days.nth(0).textContent()).toMatch(/: at least [\d,]+ writes$/);
    expect(await days.nth(8).textContent()).toMatch(/: not known yet$/);
  });

  test('downloads the report as the caller', async () => {
    const page = await enter(project(102));
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download as Markdown' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('project-102.md');
    expect(await readFile(await download.path(), 'utf8')).toContain('Migration of project 102');
  });

  const PLACES: readonly [name: string, hash: () => string, shown: string, act?: (page: Page) => Promise<void>][] = [
    ['projects', () => '#/?page_size=25', 'Acme web shop'],
    ['copying', () => project(101), '2,710/s'],
    ['following', () => project(102), 'flagsmith-ios-sdk/3.6.1'],
    ['plan', () => project(103), 'about 1.83 USD'],
    ['gaps', () => project(104), 'A sidecar stopped reporting before it had sent everything'],
    ['differences', () => project(105), 'Different in Edge'],
    ['suspended', () => project(106), 'Back office'],
    ['finished', () => project(107), 'Closed since'],
    ['failed', () => project(108), 'was deleted in Core'],
    ['no-migration', () => '#/projects/999', 'Create the plan'],
    [
      ...['question', () => project(102), 'flagsmith-ios-sdk/3.6.1'],
      async (page: Page) => {
        await page.getByRole('button', { name: 'Finish now' }).click();
        await page.getByText('This cannot be undone.').waitFor();
      },
    ] as [string, () => string, string, (page: Page) => Promise<void>],
  ];
  const APPEARANCES: readonly [name: string, suffix: string, appearance: Appearance][] = [
    ['wide and light', '', {}],
    ['390 pixels wide and dark', '-narrow-dark', { width: 390, height: 844, dark: true }],
  ];
  const VIEWS = APPEARANCES.flatMap(([appearance, ...others]) =>
    PLACES.map(([place, ...rest]) => ({ appearance, place, others, rest })),
  );

  test.for(VIEWS)('has no axe violations and fits: $place, $appearance', async ({ place, others, rest }) => {
    const [suffix, appearance] = others;
    const [hash, shown, act] = rest;
    const page = await enter(hash(), appearance);
    await page.getByText(shown).first().waitFor();
    await act?.(page);
    expect(await findViolations(page)).toEqual([]);
    expect(await findOverflow(page)).toBe(0);
    await capture(page, `console-${place}${suffix}`);
  });

  test('is really checked by axe, which finds a violation that the test adds', async () => {
    const page = await enter('#/');
    // Outside of what the page draws again when an answer comes.
    await page.evaluate("document.body.append(document.createElement('img'))");
    expect((await findViolations(page)).join()).toContain('image-alt');
  });

  test('has no axe violations in the sign-in form', async () => {
    const page = await browser.open({ viewport: { width: 390, height: 844 }, colorScheme: 'dark' });
    open.push(page);
    await page.goto(stage.url);
    await page.getByLabel('Bearer token').waitFor();
    expect(await findViolations(page)).toEqual([]);
    await capture(page, 'console-sign-in-narrow-dark');
  });
});

/** Makes the pictures shown in docs/console.md. */
async function capture(page: Page, name: string): Promise<void> {
  if (SCREENSHOTS === undefined) return;
  const shown = await readFile(new URL('../../docs/console.md', import.meta.url), 'utf8');
  if (!shown.includes(`images/${name}.png`)) return;
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), animations: 'disabled' });
}

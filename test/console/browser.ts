/** A real Chromium, as packaged by Debian, and the page tests' helpers for it. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { createFolder, removeFolder } from '../cluster/reaper.ts';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env['CHROMIUM'] ?? PLACES.find((path) => existsSync(path));

export const hasChromium = executablePath !== undefined;
if (!hasChromium)
  process.stdout.write('No Chromium (apt-get install chromium): the console is not tried in a browser\n');

const ARGUMENTS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking'],
  ...[
    '--disable-component-update',
    '--disable-sync',
    '--disable-quic',
    '--disable-features=Translate,OptimizationHints',
  ],
];

export interface TestBrowser extends AsyncDisposable {
  open(options?: BrowserContextOptions): Promise<Page & AsyncDisposable>;
}

/** Problems reported by a page: errors, refusals by its content security policy, requests to other origins. */
export const problemsOf = new WeakMap<Page, string[]>();

export async function startBrowser(): Promise<TestBrowser> {
  const downloads = createFolder('chromium');
  const browser: Browser = await chromium.launch({
    executablePath: executablePath!,
    args: ARGUMENTS,
    downloadsPath: downloads,
    timeout: 120_000,
  });
  return {
    async open(options = {}) {
      const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'Europe/London', ...options });
      context.setDefaultTimeout(120_000);
      const page = await context.newPage();
      watch(page);
      return Object.assign(page, { [Symbol.asyncDispose]: () => context.close() });
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      removeFolder(downloads);
    },
  };
}

function watch(page: Page) {
  const problems: string[] = [];
  problemsOf.set(page, problems);
  let origin: string | undefined;
  page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
  page.on('console', (message) => {
    // The page itself reports a refused request, and its tests check that.
    const isRefusal = /Failed to load resource/.test(message.text());
    if (message.type() === 'error' && !isRefusal) problems.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const { protocol, origin: target } = new URL(request.url());
    if (protocol === 'blob:' || protocol === 'data:') return;
    origin ??= target;
    if (target !== origin) problems.push(`request to ${request.url()}`);
  });
}

const require = createRequire(import.meta.url);
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** axe's findings, as lines. It runs as the debugger does, so the page's content security policy stays unchanged. */
export async function findViolations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const violations = (await page.evaluate(
    'axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then((result) => result.violations)',
  )) as Violation[];
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`),
  );
}

/** By how many pixels the page is wider than its window. */
export const findOverflow = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth') as Promise<number>;

/** Presses Tab until the element with this name has the focus. */
export async function tabTo(page: Page, name: string): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    if ((await focused(page)) === name) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab does not reach ${name}; the focus is on ${await focused(page)}`);
}

/** The accessible name of the focused element. */
export const focused = (page: Page): Promise<string> =>
  page.evaluate(
    'document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent.trim()',
  ) as Promise<string>;

/** Checks the alerts and the dashboard against the exported metrics. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { binary } from '../cluster/binaries.ts';
import { find, render } from './helm.ts';

const ROOT = new URL('../../', import.meta.url);
const RULES = 'charts/edge-migration/files/alerts.yaml';
const DASHBOARD = 'charts/edge-migration/files/dashboards/edge-migration.json';
const RUNBOOKS = 'docs/runbooks/';
const path = (name: string) => fileURLToPath(new URL(name, ROOT));
const read = (name: string) => readFileSync(new URL(name, ROOT), 'utf8');

interface Rule {
  alert: string;
  expr: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
const rules = (parse(read(RULES)) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);
const alerts = rules.map(({ alert }) => alert);

interface Panel {
  title: string;
  description?: string;
  type: string;
  targets?: { expr: string }[];
}
const dashboard = JSON.parse(read(DASHBOARD)) as { panels: Panel[]; templating: { list: { query: string }[] } };
const panels = dashboard.panels.filter(({ type }) => type !== 'row');

async function promtool(args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(await binary('promtool'), args, {
    cwd: path('test/chart/alerts'),
  });
  return stdout + stderr;
}

describe('the alert rules', { timeout: 600_000 }, () => {
  it('are a valid rules file', async () => {
    await expect(promtool(['check', 'rules', path(RULES)])).resolves.toContain(`${rules.length} rules found`);
  });

  const tests = readdirSync(path('test/chart/alerts'));
  it.each(tests)('fire when they should, and not before: %s', async (file) => {
    await expect(promtool(['test', 'rules', file])).resolves.toContain('SUCCESS');
  });

  it('are all tested both firing and not firing', () => {
    const tested = tests.flatMap((file) => {
      const { tests } = parse(read(`test/chart/alerts/${file}`)) as {
        tests: { alert_rule_test: { alertname: string; exp_alerts?: unknown[] }[] }[];
      };
      return tests.flatMap((one) => one.alert_rule_test);
    });
    const firing = tested.filter(({ exp_alerts }) => (exp_alerts?.length ?? 0) > 0).map(({ alertname }) => alertname);
    const silent = tested.filter(({ exp_alerts }) => (exp_alerts?.length ?? 0) === 0).map(({ alertname }) => alertname);
    expect([...new Set(firing)].toSorted()).toEqual(alerts.toSorted());
    expect([...new Set(silent)].toSorted()).toEqual(alerts.toSorted());
  });

  it('each have a runbook page, and no page documents a removed alert', () => {
    const pages = readdirSync(path(RUNBOOKS)).map((file) => file.replace(/\.md$/, ''));
    expect(pages.toSorted()).toEqual(alerts.toSorted());
  });

  it('each state their severity and a runbook link', async () => {
    const objects = await render('ours', [
      '--set',
      'capture.mode=Disabled,monitoring.rules.enabled=true,monitoring.rules.runbookUrl=https://docs.example/runbooks/',
    ]);
    const { groups } = find(objects, 'PrometheusRule', 'edge-migration')['spec'] as { groups: { rules: Rule[] }[] };
    const rendered = groups.flatMap((group) => group.rules);
    expect(rendered.map(({ alert }) => alert)).toEqual(alerts);
    for (const { alert, labels, annotations } of rendered) {
      expect(labels).toEqual({ severity: expect.stringMatching(/^(warning|critical)$/) });
      expect(annotations['runbook_url']).toBe(`https://docs.example/runbooks/${alert}.md`);
    }
  });
});

describe('metric coverage', () => {
  // A test of the operator checks this page against the metrics that the processes register.
  const listed = new Set(read('docs/metrics.md').match(/(?<=^\| `)[a-z0-9_]+(?=` \| (gauge|counter|histogram))/gm));
  const OTHERS = /^(process|nodejs)_/;
  const named = (expressions: readonly string[]) =>
    expressions
      .flatMap((text) => text.replace(/"[^"]*"/g, '').match(/\b[a-z][a-z0-9]*_[a-z0-9_]+\b/g) ?? [])
      .filter((name) => !['project_id', 'histogram_quantile'].includes(name));
  const isListed = (name: string) => OTHERS.test(name) || listed.has(name) || listed.has(name.replace(/_bucket$/, ''));

  it('every metric in an alert is exported', () => {
    expect(named(rules.map(({ expr }) => expr)).filter((name) => !isListed(name))).toEqual([]);
    expect(named(['max(edge_migration_nonsense) > 0']).filter(isListed)).toEqual([]);
  });

  it('every metric on the dashboard is exported', () => {
    const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    const variables = dashboard.templating.list.map(({ query }) => query.replace(/^label_values\(|, \w+\)$/g, ''));
    expect(
      named([...queries, ...variables.filter((query) => query.includes('_'))]).filter((name) => !isListed(name)),
    ).toEqual([]);
  });
});

describe('the dashboard', { timeout: 600_000 }, () => {
  it('has queries that Prometheus can parse', async () => {
    for (const { targets = [] } of panels) {
      for (const { expr } of targets) {
        await expect(promtool(['--experimental', 'promql', 'format', expr]), expr).resolves.not.toBe('');
      }
    }
  });

  it('describes what each panel shows', () => {
    expect(panels.filter(({ description }) => (description?.length ?? 0) < 10).map(({ title }) => title)).toEqual([]);
  });
});

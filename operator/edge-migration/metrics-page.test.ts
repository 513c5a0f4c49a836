import { readFile } from 'node:fs/promises';
import { runtimeMetrics } from '@edge-migration/kubernetes/metrics.ts';
import {
  createLagHistogram,
  registerApplierMetrics as registerApplier,
} from '@edge-migration/replay-sidecar/applier/report/metrics.ts';
import { registerSidecarMetrics as registerSidecar } from '@edge-migration/replay-sidecar/capture/metrics.ts';
import { createCounters as registerProxy } from '@edge-migration/replay-sidecar/capture/proxy/metrics.ts';
import { createMetrics } from '@edge-migration/runtime/metrics.ts';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createCopyMetrics } from '../copy/worker/metrics.ts';
import { createRefusalCounter } from '../trigger/refusals.ts';
import { createEventCounter } from '../trigger/requester.ts';
import { createVerifyMetrics } from '../verify/worker/metrics.ts';
import { registerMigrationMetrics } from './metrics.ts';

const PAGE = new URL('../../docs/metrics.md', import.meta.url);

/** Nothing is scraped in here, so the sources of the numbers are never read. */
const unread = <T>() => anything as T;
const anything: unknown = new Proxy(() => {}, { get: () => anything });

/** The registrations of each process, by the page's headings. */
const PROCESSES: Record<string, (registry: Registry) => void> = {
  Operator: (registry) => registerMigrationMetrics(registry, unread()),
  'Operator and applier: Kubernetes': (registry) => void runtimeMetrics(registry),
  'Copy pods': (registry) => void createCopyMetrics(registry, unread()),
  'Verify pods': (registry) => void createVerifyMetrics(registry),
  Applier(registry) {
    registerApplier(registry, unread());
    createLagHistogram(registry);
  },
  Trigger(registry) {
    createEventCounter(registry);
    createRefusalCounter(registry);
  },
  Sidecar(registry) {
    const metrics = createMetrics();
    registerSidecar(metrics, unread());
    registerProxy(metrics, unread());
    for (const { name, type, help, label } of metrics.list) {
      const options = { name, help, labelNames: label === undefined ? [] : [label], registers: [registry] };
      if (type === 'gauge') new Gauge(options);
      else new Counter(options);
    }
  },
};

interface Described {
  type: string;
  labels: string[];
}

/** prom-client keeps these to itself. */
interface Registered {
  name: string;
  type: string;
  labelNames: string[];
}

function exported(register: (registry: Registry) => void): Record<string, Described> {
  const registry = new Registry();
  register(registry);
  const metrics = registry.getMetricsAsArray() as unknown as Registered[];
  const own = metrics.filter(({ name }) => !/^(process|nodejs)_/.test(name));
  return Object.fromEntries(own.map(({ name, type, labelNames }) => [name, { type, labels: [...labelNames].sort() }]));
}

/** The rows of the tables under one heading: `| name | type | labels | meaning |`. */
function documented(page: string, heading: string): Record<string, Described> {
  const [, section = ''] = page.split(`\n## ${heading}\n`);
  const rows = (section.split('\n## ')[0] ?? '').matchAll(/^\| `(\w+)` \| (\w+) \| (.*?) ?\| .+ \|$/gm);
  return Object.fromEntries(
    [...rows].map(([, name = '', type = '', labels = '']) => [
      name,
      { type, labels: [...labels.matchAll(/\w+/g)].map(([label]) => label).sort() },
    ]),
  );
}

describe('docs/metrics.md', async () => {
  const page = await readFile(PAGE, 'utf8');

  test.each(Object.keys(PROCESSES))(
    'lists exactly the metrics that are exported under "%s", with types and labels, and no others',
    (heading) => {
      expect(documented(page, heading)).toEqual(exported(PROCESSES[heading] ?? (() => {})));
    },
  );

  test('has alerts only on existing metrics and labels', () => {
    const all = Object.keys(PROCESSES).map((heading) => documented(page, heading));
    const known: Record<string, Described> = Object.assign({}, ...all);
    const [, alerts = ''] = page.split('\n## What to alert on\n');
    const expressions = (alerts.split('\n## ')[0] ?? '').matchAll(/\b(\w+_\w+)(?:\{([^}]*)\})?/g);
    const used = [...expressions].filter(([, name = '']) => !/^(EDGE_|project_id|honor|edge_migration$)/.test(name));
    expect(used.length).toBeGreaterThan(10);
    for (const [, name = '', selector = ''] of used) {
      expect(known, `${name} is documented`).toHaveProperty(name);
      const labels = [...selector.matchAll(/(\w+)=/g)].map(([, label = '']) => label);
      expect(known[name]?.labels, `labels of ${name}`).toEqual(expect.arrayContaining(labels));
    }
  });

  test("leaves out the runtime's own metrics, which every process has", () => {
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    for (const { name } of registry.getMetricsAsArray()) expect(name).toMatch(/^(process|nodejs)_/);
  });
});

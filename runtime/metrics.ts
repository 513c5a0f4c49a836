import process from 'node:process';

/**
 * Metrics in Prometheus' text format. Every number is kept by the code that counts it and read at each scrape, so that
 * the hot path only adds. The sidecar does not use prom-client: that loads `node:http`, and with it a fetch client,
 * which cost 14 MB in every Core API pod.
 */
export interface Metrics {
  /** All added metrics, in this order. */
  readonly list: readonly Metric[];
  add(metric: Metric): void;
  /** @throws errors of a metric's `read` */
  text(): string;
}

interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  /** The one label, if `read` returns a series for each of its values. */
  readonly label: string | undefined;
  /** Undefined while it is not known: a number would claim that it is. */
  read(): number | undefined | Readonly<Record<string, number>>;
}

/** The content type of {@link Metrics.text}. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function createMetrics(): Metrics {
  const list: Metric[] = [];
  return {
    list,
    add: (metric) => void list.push(metric),
    text: () => list.map(format).join(''),
  };
}

function format({ name, type, help, label, read }: Metric): string {
  const value = read();
  const series =
    typeof value === 'object' ? labelled(name, label ?? '', value) : value === undefined ? [] : [`${name} ${value}`];
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...series, ''].join('\n');
}

function labelled(name: string, label: string, values: Readonly<Record<string, number>>): string[] {
  const quote = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return Object.entries(values).map(([value, number]) => `${name}{${label}="${quote(value)}"} ${number}`);
}

export interface MetricsOfPart {
  gauge(name: string, help: string, read: () => number | undefined): void;
  /** `_total` is added to the name. */
  counter(name: string, help: string, read: () => number): void;
  /** One series for each entry. */
  labelledGauge(name: string, help: string, label: string, read: () => Readonly<Record<string, number>>): void;
  labelledCounter(name: string, help: string, label: string, read: () => Readonly<Record<string, number>>): void;
}

/** @param prefix of every name, with its underscore at the end */
export function metricsOf(metrics: Metrics, prefix: string): MetricsOfPart {
  const add = (type: Metric['type'], name: string, help: string, label: string | undefined, read: Metric['read']) =>
    metrics.add({ name: `${prefix}${name}${type === 'counter' ? '_total' : ''}`, type, help, label, read });
  return {
    gauge: (name, help, read) => add('gauge', name, help, undefined, read),
    counter: (name, help, read) => add('counter', name, help, undefined, read),
    labelledGauge: (name, help, label, read) => add('gauge', name, help, label, read),
    labelledCounter: (name, help, label, read) => add('counter', name, help, label, read),
  };
}

/** The standard metrics of a process, under the usual names. */
export function registerProcessMetrics(metrics: Metrics): void {
  const ofProcess = metricsOf(metrics, 'process_');
  const ofNode = metricsOf(metrics, 'nodejs_');
  const startTime = Date.now() / 1000 - process.uptime();
  ofProcess.counter('cpu_seconds', 'CPU time spent', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  ofProcess.gauge('start_time_seconds', 'When the process started, since the epoch', () => startTime);
  ofProcess.gauge('resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss());
  ofNode.gauge('heap_size_total_bytes', 'Size of the JavaScript heap', () => process.memoryUsage().heapTotal);
  ofNode.gauge('heap_size_used_bytes', 'Use of the JavaScript heap', () => process.memoryUsage().heapUsed);
  ofNode.gauge('external_memory_bytes', 'Memory of objects outside the heap', () => process.memoryUsage().external);
}

import { Counter, Gauge, type Registry } from 'prom-client';

/** Numbers that a process keeps anyway, as metrics: asked for at each scrape, so that the hot path only adds. */
export interface Metrics {
  gauge(name: string, help: string, read: () => number): void;
  /** `_total` is added to the name. */
  counter(name: string, help: string, read: () => number): void;
  /** One series for each entry. */
  labelledGauge(name: string, help: string, label: string, read: () => Readonly<Record<string, number>>): void;
  labelledCounter(name: string, help: string, label: string, read: () => Readonly<Record<string, number>>): void;
}

/** @param prefix of every name, with its underscore at the end */
export function createMetrics(registry: Registry, prefix: string): Metrics {
  const registers = [registry];
  return {
    gauge(name, help, read) {
      new Gauge({
        name: prefix + name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    },
    counter(name, help, read) {
      new Counter({
        name: `${prefix}${name}_total`,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read());
        },
      });
    },
    labelledGauge(name, help, label, read) {
      new Gauge({
        name: prefix + name,
        help,
        labelNames: [label],
        registers,
        collect() {
          this.reset();
          for (const [value, number] of Object.entries(read())) this.set({ [label]: value }, number);
        },
      });
    },
    labelledCounter(name, help, label, read) {
      new Counter({
        name: `${prefix}${name}_total`,
        help,
        labelNames: [label],
        registers,
        collect() {
          this.reset();
          for (const [value, number] of Object.entries(read())) this.inc({ [label]: value }, number);
        },
      });
    },
  };
}

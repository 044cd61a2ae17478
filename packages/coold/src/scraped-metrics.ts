import { Counter, Gauge, type Registry } from 'prom-client';

/** Values of a metric by label value. */
export type Labelled = Iterable<readonly [label: string, value: number]>;

type Awaitable<T> = T | Promise<T>;

/** Registers metrics that are read at each scrape. Counters count from the start of the process. */
export interface ScrapedMetrics {
  gauge(name: string, help: string, read: () => number): void;
  counter(name: string, help: string, read: () => number): void;
  /** Registers a gauge with one label. A label value that `read` does not return is absent from the scrape. */
  gauges(name: string, help: string, label: string, read: () => Awaitable<Labelled>): void;
}

/** @param registry takes the metrics */
export function scrapedMetrics(registry: Registry): ScrapedMetrics {
  const registers = [registry];
  return {
    gauge: (name, help, read) =>
      void new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      }),
    counter: (name, help, read) =>
      void new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read());
        },
      }),
    gauges: (name, help, label, read) =>
      void new Gauge({
        name,
        help,
        labelNames: [label],
        registers,
        async collect() {
          const values = await read();
          this.reset();
          for (const [of, value] of values) this.set({ [label]: of }, value);
        },
      }),
  };
}

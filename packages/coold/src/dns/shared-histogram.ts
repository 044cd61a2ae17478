import { Histogram } from 'prom-client';

/** Durations counted by other threads, in shared memory. */
export interface CountedDurations {
  /** Cumulative counts: how many took at most each limit, and last the number of all. */
  cumulative: readonly number[];
  /** The sum of all durations, in seconds. */
  sumSeconds: number;
}

/** A histogram whose values are read at each scrape, because other threads count them. */
export class SharedHistogram extends Histogram<'le'> {
  readonly #description: { name: string; help: string; limits: readonly number[] };
  /** Provides the histogram's metadata for prom-client. */
  readonly #empty: Histogram<'le'>;
  readonly #read: () => CountedDurations;

  /** @param description.limits of the buckets, in seconds, ascending */
  constructor(
    description: { name: string; help: string; limits: readonly number[] },
    read: () => CountedDurations,
  ) {
    const { name, help, limits } = description;
    super({ name, help, buckets: [...limits], registers: [] });
    this.#empty = new Histogram({ name, help, registers: [] });
    this.#description = description;
    this.#read = read;
  }

  override async get(): ReturnType<Histogram<'le'>['get']> {
    const { name, limits } = this.#description;
    const { cumulative, sumSeconds } = this.#read();
    const total = cumulative.at(-1) ?? 0;
    return {
      ...(await this.#empty.get()),
      values: [
        ...[...limits, '+Inf'].map((le, at) => ({
          labels: { le },
          value: cumulative[at] ?? total,
          metricName: `${name}_bucket`,
        })),
        { labels: {}, value: sumSeconds, metricName: `${name}_sum` },
        { labels: {}, value: total, metricName: `${name}_count` },
      ],
    };
  }

  /** prom-client calls this method for the text of /metrics; its types do not declare it. */
  getForPromString(): ReturnType<Histogram<'le'>['get']> {
    return this.get();
  }
}

/** The subscriptions that fill the directory, one per table. */
export type Subscribed = 'endpoints' | 'registrations';

interface Subscription {
  /** Since when changes are not reported, monotonic, in ms; undefined while they are. */
  lostAt: number | undefined;
  /** The latest event while changes are not reported. */
  problem: string | undefined;
}

/** How old the directory's content may be. Until a subscription is connected for the first time, its content ages from the start. */
export class Freshness {
  readonly #now: () => number;
  readonly #of: Record<Subscribed, Subscription>;
  /** How often subscriptions had to be resumed or started again. */
  resubscriptions = 0;

  /** @param now monotonic, ms */
  constructor(now: () => number) {
    this.#now = now;
    const startedAt = now();
    this.#of = {
      endpoints: { lostAt: startedAt, problem: undefined },
      registrations: { lostAt: startedAt, problem: undefined },
    };
  }

  connected(which: Subscribed, isConnected: boolean): void {
    const subscription = this.#of[which];
    subscription.lostAt = isConnected ? undefined : (subscription.lostAt ?? this.#now());
    if (isConnected) subscription.problem = undefined;
  }

  /** @param why changes were not reported, for people */
  resubscribed(which: Subscribed, why: string): void {
    this.resubscriptions += 1;
    this.#of[which].problem = why;
  }

  /** Returns how long the content may have been out of date, in ms; 0 while every change is reported at once. */
  ageMs(): number {
    const since = this.#lostSince();
    return since === undefined ? 0 : Math.round(this.#now() - since);
  }

  isConnected(): boolean {
    return this.#lostSince() === undefined;
  }

  /** Returns the latest event, that of the endpoints first. */
  problem(): string | undefined {
    return this.#of.endpoints.problem ?? this.#of.registrations.problem;
  }

  #lostSince(): number | undefined {
    const { endpoints, registrations } = this.#of;
    const since = [endpoints.lostAt, registrations.lostAt].filter(at => at !== undefined);
    return since.length === 0 ? undefined : Math.min(...since);
  }
}

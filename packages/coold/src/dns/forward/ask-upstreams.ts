import type { DeadlineQueue, Waiting } from './deadline-queue.ts';
import { isRefusal } from './exchange.ts';
import type { PlacedUpstream, UpstreamHealth } from './upstream-health.ts';
import type { UpstreamPool } from './upstream-pool.ts';

/** An upstream that can be asked. */
export interface AskableUpstream extends PlacedUpstream {
  pool: UpstreamPool;
}

/** @param from the upstream that answered; undefined when none did */
export type Answered = (answer: Buffer | undefined, from?: AskableUpstream) => void;

export interface AskUpstreamsOptions {
  health: UpstreamHealth;
  /** The queue for the time after which the next upstream is asked as well. */
  step: DeadlineQueue;
  /** The number of such times before a query is given up. */
  steps: number;
}

/**
 * Returns a function that asks upstreams over UDP in order: the next one as soon as one fails or refuses, and in
 * parallel when one is late. The first answer counts. Upstreams known to be dead are skipped. When all are dead, all
 * are asked at once, for one step only, since one may be back. The function may change the query until it calls `done`,
 * and restores it except for the id.
 */
export function createAskUpstreams(
  options: AskUpstreamsOptions,
): (upstreams: readonly AskableUpstream[], query: Buffer, done: Answered) => void {
  const { health } = options;
  return (upstreams, query, done) => {
    const [first] = upstreams;
    // Most hosts have one upstream, which needs no round.
    if (first !== undefined && upstreams.length === 1 && !health.isDead(first.place)) {
      askOne(health, first, query, done);
      return;
    }
    const living = upstreams.filter(({ place }) => !health.isDead(place));
    new Round(options, living.length > 0 ? living : upstreams, living.length === 0, query, done).begin();
  };
}

function askOne(
  health: UpstreamHealth,
  upstream: AskableUpstream,
  query: Buffer,
  done: Answered,
): () => void {
  return upstream.pool.ask(query, answer => {
    if (answer === undefined) {
      health.unanswered(upstream.place);
      done(undefined);
      return;
    }
    health.answered(upstream.place);
    done(answer, upstream);
  });
}

/** One query to several upstreams. It is over once `done` was called. */
class Round {
  readonly #options: AskUpstreamsOptions;
  readonly #order: readonly AskableUpstream[];
  readonly #areDead: boolean;
  readonly #query: Buffer;
  readonly #done: Answered;
  readonly #cancels: (() => void)[] = [];
  /** The index of the upstream to ask next. */
  #next = 0;
  /** The number of upstreams that were asked and have not failed, refused or answered. */
  #open = 0;
  #stepsLeft: number;
  #deadline: Waiting | undefined;
  /** The first refusal. It is the answer when no upstream gives a better one. */
  #refusal: { answer: Buffer; from: AskableUpstream } | undefined;
  #isOver = false;

  constructor(
    options: AskUpstreamsOptions,
    order: readonly AskableUpstream[],
    areDead: boolean,
    query: Buffer,
    done: Answered,
  ) {
    this.#options = options;
    this.#order = order;
    this.#areDead = areDead;
    this.#query = query;
    this.#done = done;
    this.#stepsLeft = areDead ? 1 : options.steps;
  }

  begin(): void {
    const { health, step } = this.#options;
    this.#askNext();
    // No question waits for an upstream that was late the last time.
    for (const [index, { place }] of this.#order.entries()) {
      if (this.#isOver || this.#next > index + 1 || !(this.#areDead || health.isSuspect(place))) break;
      this.#askNext();
    }
    if (!this.#isOver) this.#deadline = step.begin(() => this.#late());
  }

  #askNext(): void {
    const upstream = this.#order[this.#next];
    if (upstream === undefined) {
      if (this.#open === 0) this.#giveUp();
      return;
    }
    this.#next += 1;
    this.#open += 1;
    // Each upstream gets a copy, because each query is sent with an id of its own.
    const cancel = askOne(this.#options.health, upstream, Buffer.from(this.#query), (answer, from) =>
      this.#took(answer, from),
    );
    if (!this.#isOver) this.#cancels.push(cancel);
  }

  #took(answer: Buffer | undefined, from: AskableUpstream | undefined): void {
    this.#open -= 1;
    if (this.#isOver) return;
    if (answer !== undefined && from !== undefined) {
      if (!isRefusal(answer)) {
        this.#finish(answer, from);
        return;
      }
      this.#refusal ??= { answer: Buffer.from(answer), from };
    }
    this.#askNext();
  }

  #late(): void {
    this.#stepsLeft -= 1;
    // An upstream has refused, and the late ones had time for a better answer.
    if (this.#stepsLeft <= 0 || this.#refusal !== undefined) {
      this.#giveUp();
      return;
    }
    this.#askNext();
    if (!this.#isOver) this.#deadline = this.#options.step.begin(() => this.#late());
  }

  #giveUp(): void {
    this.#finish(this.#refusal?.answer, this.#refusal?.from);
  }

  #finish(answer: Buffer | undefined, from: AskableUpstream | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#deadline !== undefined) this.#options.step.end(this.#deadline);
    this.#done(answer, from);
    for (const cancel of this.#cancels) cancel();
  }
}

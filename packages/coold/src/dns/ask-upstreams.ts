import { isRefusal } from './exchange.ts';
import type { Lapse, Waiting } from './lapse.ts';
import type { PlacedUpstream, UpstreamHealth } from './upstream-health.ts';
import type { UpstreamPool } from './upstream-pool.ts';

/** An upstream that can be asked. */
export interface AskableUpstream extends PlacedUpstream {
  pool: UpstreamPool;
}

/** @param from who answered; undefined where nobody did */
export type Answered = (answer: Buffer | undefined, from?: AskableUpstream) => void;

export interface AskUpstreamsOptions {
  health: UpstreamHealth;
  /** Of the time that one upstream has before the next is asked as well. */
  step: Lapse;
  /** Of those times before a query is given up. */
  steps: number;
}

/**
 * Asks over UDP, in the order of the list: the next one as soon as one fails or refuses, and beside it when it is late. The
 * first answer counts. Those that were found dead are left out. Where all were, all are asked at once, and for one step only:
 * one may be back.
 *
 * @returns asks; the query is its own until `done` is called, and then is as it was but for its id
 */
export function createAskUpstreams({
  health,
  step,
  steps,
}: AskUpstreamsOptions): (upstreams: readonly AskableUpstream[], query: Buffer, done: Answered) => void {
  function askOne(upstream: AskableUpstream, query: Buffer, done: Answered): () => void {
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

  function askMany(order: readonly AskableUpstream[], areDead: boolean, query: Buffer, done: Answered): void {
    const cancels: (() => void)[] = [];
    let next = 0;
    let open = 0;
    let left = areDead ? 1 : steps;
    let lapse: Waiting | undefined;
    let refusal: { answer: Buffer; from: AskableUpstream } | undefined;
    let isOver = false;
    const finish: Answered = (answer, from) => {
      if (isOver) return;
      isOver = true;
      if (lapse !== undefined) step.end(lapse);
      done(answer, from);
      for (const cancel of cancels) cancel();
    };
    const giveUp = () => finish(refusal?.answer, refusal?.from);
    const askNext = () => {
      const upstream = order[next];
      if (upstream === undefined) {
        if (open === 0) giveUp();
        return;
      }
      next += 1;
      open += 1;
      // A copy for each: they go out under ids of their own.
      const cancel = askOne(upstream, Buffer.from(query), (answer, from) => {
        open -= 1;
        if (isOver) return;
        if (answer !== undefined && from !== undefined) {
          if (!isRefusal(answer)) {
            finish(answer, from);
            return;
          }
          refusal ??= { answer: Buffer.from(answer), from };
        }
        askNext();
      });
      if (!isOver) cancels.push(cancel);
    };
    const onStep = () => {
      left -= 1;
      // Who refused has answered: for those that are late there was time to say better.
      if (left <= 0 || refusal !== undefined) {
        giveUp();
        return;
      }
      askNext();
      if (!isOver) lapse = step.begin(onStep);
    };
    askNext();
    // Nobody is made to wait for one that was late the last time.
    for (let index = 0; !isOver && index < order.length; index += 1) {
      const asked = order[index];
      if (asked === undefined || next > index + 1 || !(areDead || health.isSuspect(asked.place))) break;
      askNext();
    }
    if (!isOver) lapse = step.begin(onStep);
  }

  return (upstreams, query, done) => {
    const [first] = upstreams;
    // As most hosts have it: without what it takes to ask several.
    if (first !== undefined && upstreams.length === 1 && !health.isDead(first.place)) {
      askOne(first, query, done);
      return;
    }
    const living = upstreams.filter(({ place }) => !health.isDead(place));
    askMany(living.length > 0 ? living : upstreams, living.length === 0, query, done);
  };
}

import type { Answer, Build, BuildOutcome } from './build-table.ts';

/** One caller that wants a build's result. */
export interface Poll {
  outcome: Promise<BuildOutcome>;
  /** Its time is up: it is told `timeout`, unless it was told something already. */
  giveUp(): void;
  /** Its reply is over: `written` whole, and then what it was told counts as read, or not. */
  close(written: boolean): void;
}

export interface PollDeps {
  /** What it is to be told without waiting, if anything. */
  told: BuildOutcome | undefined;
  /** It waits from now on; it does no longer. */
  onWaiting(): void;
  onLeft(): void;
  /** The answer that it was told was written whole; or was not, and no other reply with it is under way. */
  onRead(): void;
  onUnread(): void;
  /** That its host stays away was written whole. */
  onGoneRead(): void;
}

/** A poller of a build that is there, from its question to the end of its reply. */
export function beginPoll(build: Build, deps: PollDeps): Poll {
  const { promise, resolve } = Promise.withResolvers<BuildOutcome>();
  let told: BuildOutcome | undefined;
  let answer: Answer | undefined;
  let isOver = false;

  function hear(outcome: BuildOutcome): void {
    told = outcome;
    if (build.answer?.outcome === outcome) {
      answer = build.answer;
      build.readers += 1;
    }
    resolve(outcome);
  }
  function leave(): void {
    if (!build.pollers.delete(hear)) return;
    hear({ kind: 'timeout' });
    deps.onLeft();
  }

  if (deps.told !== undefined) hear(deps.told);
  else {
    build.pollers.add(hear);
    deps.onWaiting();
  }
  return {
    outcome: promise,
    giveUp: leave,
    close(written) {
      if (isOver) return;
      isOver = true;
      leave();
      if (answer !== undefined) build.readers -= 1;
      if (build.state === 'gone') return;
      // What it was told may have been overtaken since; then nobody has read what is there now.
      if (answer !== undefined && answer === build.answer) {
        if (written) deps.onRead();
        else if (build.readers === 0) deps.onUnread();
      } else if (written && told?.kind === 'host gone' && build.answer === undefined) deps.onGoneRead();
    },
  };
}

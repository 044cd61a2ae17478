import type { Answer, Build, BuildOutcome } from './build-table.ts';

/** A caller that waits for a build's result. */
export interface Poll {
  outcome: Promise<BuildOutcome>;
  /** Its time is over: it gets `timeout`, unless it already has an outcome. */
  giveUp(): void;
  /** Call when the reply ended. `written`: it was sent whole, and the outcome counts as read. */
  close(written: boolean): void;
}

export interface PollDeps {
  /** Returns the outcome that it gets without waiting; undefined when it must wait. */
  told: BuildOutcome | undefined;
  /** Called when it begins and when it stops to wait. */
  onWaiting(): void;
  onLeft(): void;
  /** Called when the answer was sent whole, or when it was not and no other reply with it is under way. */
  onRead(): void;
  onUnread(): void;
  /** Called when the caller was told that the host stays away. */
  onGoneRead(): void;
}

/** A poller of a known build, from its question to the end of its reply. */
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
      // The build may have another answer by now, which nobody has read.
      if (answer !== undefined && answer === build.answer) {
        if (written) deps.onRead();
        else if (build.readers === 0) deps.onUnread();
      } else if (written && told?.kind === 'host gone' && build.answer === undefined) deps.onGoneRead();
    },
  };
}

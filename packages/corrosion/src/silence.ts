import { errorMessage } from '@coold/runtime';
import { CorrosionError } from './failure.ts';

export interface SilenceOptions {
  /** How long the agent may send nothing before it is asked, in ms. */
  quietMs: number;
  /** Asks the agent. Resolves when it answers, and rejects when it does not answer in time. */
  ask(signal: AbortSignal): Promise<void>;
  /** Called at most once: the agent sends nothing and does not answer. */
  onDead(why: string): void;
}

export interface Silence {
  /** Records that the agent sent something. */
  heard(): void;
  end(): void;
}

/**
 * Detects a frozen agent. The connections of a frozen agent stay open, so its subscription looks like that of a mesh without
 * changes. An agent that sends nothing for `quietMs` is therefore asked whether it still answers.
 */
export function noticeSilence({ quietMs, ask, onDead }: SilenceOptions): Silence {
  const ended = new AbortController();
  let isAsking = false;
  let hasSpoken = false;
  const listen = async () => {
    isAsking = true;
    hasSpoken = false;
    try {
      await ask(ended.signal);
    } catch (error) {
      // An agent that refuses the question is alive.
      const isDead = !(error instanceof CorrosionError) || error.fault === 'unreachable';
      if (isDead && !hasSpoken && !ended.signal.aborted) {
        onDead(`it sends nothing and does not answer: ${errorMessage(error)}`);
        return;
      }
    }
    isAsking = false;
    if (!ended.signal.aborted) timer = setTimeout(listen, quietMs);
  };
  let timer = setTimeout(listen, quietMs);
  return {
    heard() {
      // refresh() would start a timer again that has already fired.
      if (isAsking) hasSpoken = true;
      else timer.refresh();
    },
    end() {
      ended.abort();
      clearTimeout(timer);
    },
  };
}

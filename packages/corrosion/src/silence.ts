import { CorrosionError } from './failure.ts';

export interface SilenceOptions {
  /** How long nothing may be heard before the agent is asked, in ms. */
  quietMs: number;
  /** Resolves when the agent answers; in time, or not at all. */
  ask(signal: AbortSignal): Promise<void>;
  /** It says nothing, and does not answer either. Called once at the most. */
  onDead(why: string): void;
}

export interface Silence {
  /** Something was heard. */
  heard(): void;
  end(): void;
}

/**
 * Tells an agent that has nothing to say from one that is frozen: that one's connections stay open, and a subscription that
 * nobody feeds any more looks like a mesh in which nothing happens.
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
      // Whoever refuses is alive.
      const isDead = !(error instanceof CorrosionError) || error.fault === 'unreachable';
      if (isDead && !hasSpoken && !ended.signal.aborted) {
        onDead(`it says nothing and does not answer: ${(error as Error).message}`);
        return;
      }
    }
    isAsking = false;
    if (!ended.signal.aborted) timer = setTimeout(listen, quietMs);
  };
  let timer = setTimeout(listen, quietMs);
  return {
    heard() {
      // A timer that has run would run again.
      if (isAsking) hasSpoken = true;
      else timer.refresh();
    },
    end() {
      ended.abort();
      clearTimeout(timer);
    },
  };
}

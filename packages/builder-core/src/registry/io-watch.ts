import { readFile } from 'node:fs/promises';

export interface IoWatch extends Disposable {
  /** Aborts once the process has read and written nothing for `silenceMs`. */
  stalled: AbortSignal;
  /** Begins to watch a process. */
  watch(pid: number): void;
}

/**
 * Detects a process that no longer reads or writes. Its output does not show that: a program that copies a large layer prints
 * nothing, and neither does one whose server stopped answering.
 *
 * @param silenceMs how long the process may read and write nothing, in ms
 */
export function watchIo(silenceMs: number): IoWatch {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  return {
    stalled: controller.signal,
    watch(pid) {
      let moved = '';
      let since = performance.now();
      const look = async () => {
        const now = await bytesMoved(pid);
        if (now === undefined || now !== moved) since = performance.now();
        else if (performance.now() - since >= silenceMs) controller.abort();
        moved = now ?? moved;
        timer?.refresh();
      };
      timer = setTimeout(() => void look(), Math.min(silenceMs / 4, 5000));
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

/** Returns the counters of bytes that a process has read and written, files and network, undefined when it has ended. */
async function bytesMoved(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/io`, 'utf8').catch(() => undefined);
  return text?.split('\n').slice(0, 2).join();
}

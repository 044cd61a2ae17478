import { readFile } from 'node:fs/promises';

export interface IoWatch extends Disposable {
  /** Aborted once the process has moved nothing for that long. */
  stalled: AbortSignal;
  /** The process to watch; before that nothing is. */
  watch(pid: number): void;
}

/**
 * Tells when a process reads and writes nothing any more: a program that copies what is large says nothing meanwhile, and so
 * does one whose server has stopped to answer.
 *
 * @param silenceMs how long, in ms, it may move nothing
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

/** What a process has read and written so far, of files and of its network; undefined: it has ended. */
async function bytesMoved(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/io`, 'utf8').catch(() => undefined);
  return text?.split('\n').slice(0, 2).join();
}

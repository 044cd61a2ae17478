import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A separate process that outlives this one when it is killed. */
export interface Watcher {
  /** Tells it that nothing has to be removed any more. */
  dismiss(): void;
}

const program = fileURLToPath(new URL('left-behind.ts', import.meta.url));
/** A shell, because a waiting Node would take 40 MB. It reads until this process closes the pipe by ending. */
const waits = 'read -r word; [ "$word" = dismissed ] || exec "$@"';

/** Starts a process that removes everything, including the folder, when a quickstart is killed by any signal. */
export function startWatcher(folder: string): Watcher {
  // In its own session, so that a signal to the terminal's process group does not reach it.
  const child = spawn('sh', ['-c', waits, 'sh', process.execPath, program, folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  child.unref();
  return { dismiss: () => void child.stdin.end('dismissed\n') };
}

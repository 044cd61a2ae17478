import { spawn } from 'node:child_process';

/** A lock that ends with `release`, or when this process ends in any way. */
export interface FileLock {
  release(): Promise<void>;
}

/**
 * Takes an exclusive lock on a file. The file is created when it does not exist, and stays. Node has no flock, so a `flock`
 * program holds the lock while a pipe from this process is open.
 *
 * @param timeoutMs for taking the lock, in ms
 * @returns undefined when another process holds the lock
 * @throws Error when the file cannot be opened, or flock does not answer in time
 */
export function acquireFileLock(path: string, timeoutMs = 5000): Promise<FileLock | undefined> {
  return new Promise((resolve, reject) => {
    // cat starts once the lock is held, and echoes its input then.
    const child = spawn('flock', ['--nonblock', '--conflict-exit-code', '75', '--', path, 'cat'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let said = '';
    const ended = new Promise<void>(done => child.once('close', () => done()));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${path}: no lock within ${timeoutMs} ms`));
    }, timeoutMs);
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
    });
    child.once('error', error => {
      clearTimeout(timer);
      reject(new Error(`flock: ${error.message}`, { cause: error }));
    });
    child.stdin.on('error', () => {}); // one that ends without reading says why by its exit code
    child.once('close', code => {
      clearTimeout(timer);
      if (code === 75) resolve(undefined);
      else reject(new Error(`${path} cannot be locked: ${said.trim() || `flock: exit ${code}`}`));
    });
    child.stdout.once('data', () => {
      clearTimeout(timer);
      resolve({
        async release() {
          child.stdin.end();
          await ended;
        },
      });
    });
    child.stdin.write('held\n');
  });
}

import { spawn } from 'node:child_process';

/** A lock that ends with `release`, or with this process however that ends. */
export interface FileLock {
  release(): Promise<void>;
}

/**
 * Takes an exclusive lock on a file, which is made when absent and stays; undefined when another process has it. Node has
 * no flock of its own, so a `flock` program holds it for as long as a pipe from here is open.
 *
 * @throws Error when the file cannot be opened, or no answer came in time
 */
export function acquireFileLock(path: string, timeoutMs = 5000): Promise<FileLock | undefined> {
  return new Promise((resolve, reject) => {
    // cat starts only once the lock is held, and says so by echoing what it is sent.
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

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Starts a real nats-server on a port of 127.0.0.1. It is killed when the process that started it ends. */
export async function startNatsServer(port: number): Promise<AsyncDisposable> {
  const args = ['--pdeathsig', 'KILL', '--', 'nats-server', '--addr', '127.0.0.1', '--port', String(port)];
  const child = spawn('setpriv', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const gone = new Promise<void>(resolve => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    createInterface({ input: child.stderr }).on('line', line => {
      if (line.includes('Server is ready')) resolve();
    });
    void gone.then(() => reject(new Error('nats-server ended before it was ready')));
  });
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

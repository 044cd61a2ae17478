import { spawn } from 'node:child_process';

/** A dnsmasq that knows only the names of its arguments. */
export interface Dnsmasq extends AsyncDisposable {
  pid: number;
}

/**
 * Starts dnsmasq in the foreground, without files of this machine. It dies with the process that started it. Needs root and
 * dnsmasq-base.
 *
 * @param args such as --port, --listen-address and --host-record
 * @param inside the pid of a process whose network namespace it joins
 */
export async function startDnsmasq(args: readonly string[], inside?: number): Promise<Dnsmasq> {
  const enter = inside === undefined ? [] : ['nsenter', '-t', String(inside), '-n', '-m', '--'];
  const alone = ['--no-daemon', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--bind-interfaces'];
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', '--', ...enter, 'dnsmasq', ...alone, '--user=root', '--pid-file=', ...args],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  const gone = new Promise<void>(resolve => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('utf8')).slice(-2000);
      if (said.includes('started,')) resolve();
    });
    void gone.then(() => reject(new Error(`dnsmasq ended: ${said}`)));
  });
  return {
    pid: child.pid ?? -1,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

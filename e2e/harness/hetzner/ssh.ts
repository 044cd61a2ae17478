import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ChildError, type ChildResult, createBackoff, runChild } from '@coold/runtime';
import { type ExecOptions, type ExecResult, HarnessError } from '../provider.ts';
import { shellLine } from './quote.ts';
import { readEnding, supervisedLine } from './supervised.ts';

export interface SshOptions {
  /** The host's name in messages, and in the files of this connection. */
  name: string;
  address: string;
  port?: number;
  /** Path of the private key. */
  key: string;
  /** A private folder of the run: takes the host's key and the socket of the shared connection. */
  folder: string;
  /** The ssh client, with what goes before it. */
  program?: readonly [string, ...string[]];
  /** Ends what is under way and refuses what comes after, but for `disconnect`. */
  signal?: AbortSignal;
}

/** A host as root reaches it through the system's ssh client, over one connection that all programs share. */
export interface Ssh {
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Our own address as the host sees it, and the port it listens on. */
  seenFrom(): Promise<{ address: string; port: number }>;
  /** Resolves when the host takes our key. @throws HarnessError with ssh's last words when it is too late */
  reachable(timeoutMs: number): Promise<void>;
  /** Ends the shared connection; the next program makes a new one. */
  disconnect(): Promise<void>;
}

/** Most that connecting may take, in s. */
const connectSeconds = 10;
/** How much longer than the program we wait, in ms: for the connection, and for word of its end. */
const graceMs = 20_000;

const hostEnv = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
};

export function createSsh(options: SshOptions): Ssh {
  const { name, address, port = 22, folder, program = ['ssh'], signal } = options;
  const destination = ['--', `root@${address}`];
  const [client, ...before] = [...program, ...settings({ ...options, port })];
  const unlessOver = signal === undefined ? {} : { signal };
  let connecting: Promise<void> | undefined;
  let connections = 0;
  // A path for each connection: one that ends late must not take the socket of the next with it.
  const socket = () => join(folder, `${name}-${connections}.sock`);

  const run = async (
    args: readonly string[],
    childOptions: Parameters<typeof runChild>[2],
  ): Promise<ChildResult> => {
    try {
      return await runChild(client, [...before, '-S', percentFree(socket()), ...args], childOptions);
    } catch (error) {
      if (error instanceof ChildError && error.reason === 'spawn')
        throw new HarnessError(`${error.message} (apt-get install openssh-client)`, { cause: error });
      throw error;
    }
  };

  /** Returns ssh's last words when the connection does not come about. */
  const tryToConnect = async (): Promise<string | undefined> => {
    try {
      const args = ['-M', '-N', '-f', '-o', 'ControlPersist=600', ...destination];
      // Beyond its own limit for connecting, ssh may wait for a host that accepts and then says nothing.
      const { code, stderr } = await run(args, { timeoutMs: 2 * connectSeconds * 1000, ...unlessOver });
      return code === 0 ? undefined : lastLine(stderr);
    } catch (error) {
      if (error instanceof ChildError) return error.message;
      throw error;
    }
  };

  const connected = async (): Promise<void> => {
    if (existsSync(socket())) return;
    connecting ??= tryToConnect()
      .then(words => {
        if (words !== undefined) throw new HarnessError(`${name}: no connection to ${address}: ${words}`);
      })
      .finally(() => {
        connecting = undefined;
      });
    await connecting;
  };

  const disconnect = async () => {
    await connecting?.catch(() => undefined);
    if (!existsSync(socket())) return;
    const exit = run(['-O', 'exit', ...destination], { timeoutMs: 5000 });
    connections += 1;
    // A master that does not answer is no reason to stop: it ends by its keepalives.
    await exit.catch((error: unknown) => {
      if (!(error instanceof ChildError)) throw error;
    });
  };

  return {
    async exec(argv, { input, timeoutMs = 60_000, env = {}, maxOutputBytes = 8 << 20 } = {}) {
      await connected();
      const mark = `\u0001${randomBytes(12).toString('hex')}`;
      const line = supervisedLine(mark, timeoutMs, { ...hostEnv, ...env }, argv);
      const what = `${name}: ${argv.join(' ')}`;
      let result: ChildResult;
      try {
        result = await run([...destination, line], {
          timeoutMs: timeoutMs + graceMs,
          maxOutputBytes,
          ...unlessOver,
          ...(input === undefined ? {} : { input }),
        });
      } catch (error) {
        if (!(error instanceof ChildError)) throw error;
        if (error.reason === 'aborted') throw new HarnessError(`${what}: given up, the run is over`);
        throw new HarnessError(`${what}: no word of its end within ${timeoutMs + graceMs} ms`, {
          cause: error,
        });
      }
      const { stderr, ending } = readEnding(mark, result.stderr);
      const { stdout } = result;
      if (ending?.kind === 'timeout') throw new HarnessError(`${what}: killed after ${timeoutMs} ms`);
      if (ending !== undefined) return { code: ending.kind === 'exit' ? ending.code : null, stdout, stderr };
      // The word of its end may have been cut off with a long stderr; then the exit code has to do.
      if (result.truncated && result.code !== 255) return { code: result.code, stdout, stderr };
      throw new HarnessError(`${what}: the connection was lost: ${lastLine(stderr)}`);
    },
    async seenFrom() {
      await connected();
      const { stdout } = await run([...destination, 'echo "$SSH_CONNECTION"'], { timeoutMs: graceMs });
      const [ours, , , theirPort] = stdout.trim().split(' ');
      if (
        ours === undefined ||
        theirPort === undefined ||
        !/^[0-9a-f.:]+$/.test(ours) ||
        !/^\d+$/.test(theirPort)
      )
        throw new HarnessError(`${name}: sshd does not tell where we come from: "${stdout.trim()}"`);
      return { address: ours, port: Number(theirPort) };
    },
    async reachable(timeoutMs) {
      const deadline = performance.now() + timeoutMs;
      const backoff = createBackoff({ firstMs: 500, maxMs: 4000 });
      for (;;) {
        if (signal?.aborted === true) throw new HarnessError(`${name}: given up, the run is over`);
        const words = existsSync(socket()) ? undefined : await tryToConnect();
        if (words === undefined) return;
        const waitMs = 100 + backoff.next();
        if (performance.now() + waitMs >= deadline)
          throw new HarnessError(`${name}: not reachable at ${address} within ${timeoutMs} ms: ${words}`);
        await delay(waitMs, undefined, unlessOver).catch(() => undefined);
      }
    },
    disconnect,
  };
}

/** How a person reaches a host. */
export function sshCommand(key: string, address: string): string {
  return `ssh -i ${shellLine([key])} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@${address}`;
}

/** Nothing of the caller's own ssh configuration and known hosts takes part, and nothing is asked. */
function settings({ name, key, folder, port }: SshOptions & { port: number }): string[] {
  const values = {
    BatchMode: 'yes',
    ConnectTimeout: String(connectSeconds),
    ControlMaster: 'no',
    GlobalKnownHostsFile: '/dev/null',
    // Addresses are given to one server after another: a name keeps their keys apart.
    HostKeyAlias: name,
    IdentitiesOnly: 'yes',
    // Not by -i, which looks for the file before it reads the path as it does here.
    IdentityFile: `"${percentFree(key)}"`,
    LogLevel: 'ERROR',
    RequestTTY: 'no',
    ServerAliveCountMax: '3',
    ServerAliveInterval: '5',
    StrictHostKeyChecking: 'accept-new',
    UpdateHostKeys: 'no',
    UserKnownHostsFile: `"${percentFree(join(folder, `${name}.known_hosts`))}"`,
  };
  return [
    ...['-F', '/dev/null', '-p', String(port)],
    ...Object.entries(values).flatMap(([option, value]) => ['-o', `${option}=${value}`]),
  ];
}

/** ssh expands percent signs in these paths. */
const percentFree = (path: string) => path.replaceAll('%', '%%');

function lastLine(stderr: string): string {
  return stderr.trim().split('\n').at(-1)?.trim() || 'ssh said nothing';
}

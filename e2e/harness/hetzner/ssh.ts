import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ChildError, type ChildResult, createBackoff, runChild } from '@coold/runtime';
import { type ExecOptions, type ExecResult, HarnessError } from '../provider.ts';
import { shellLine } from './quote.ts';
import { readEnding, supervisedLine } from './supervised.ts';

export interface SshOptions {
  /** The host's name in messages and in the names of this connection's files. */
  name: string;
  address: string;
  port?: number;
  /** Path of the private key. */
  key: string;
  /** A private folder of the run, for the host's key and the socket of the shared connection. */
  folder: string;
  /** The ssh client, with the arguments that precede ours. */
  program?: readonly [string, ...string[]];
  /** Aborts running calls and refuses later ones, except for `disconnect`. */
  signal?: AbortSignal;
}

/** A host reached as root through the system's ssh client, over one connection that all programs share. */
export interface Ssh {
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Returns our address as seen by the host, and the port on which its sshd listens. */
  seenFrom(): Promise<{ address: string; port: number }>;
  /** Resolves when the host accepts our key. @throws HarnessError with ssh's last output after the time limit */
  reachable(timeoutMs: number): Promise<void>;
  /** Closes the shared connection; the next program opens a new one. */
  disconnect(): Promise<void>;
}

/** Time limit for connecting, in s. */
const connectSeconds = 10;
/** Time beyond the program's own limit, in ms: for connecting and for the report of its end. */
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
  // Each connection has its own path: one that closes late must not remove the socket of the next.
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

  /** Tries to connect. @returns ssh's last output when it fails */
  const tryToConnect = async (): Promise<string | undefined> => {
    try {
      const args = ['-M', '-N', '-f', '-o', 'ControlPersist=600', ...destination];
      // ssh's own limit does not cover a host that accepts the connection and then sends nothing.
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
    // A master that does not answer is not an error: its keepalives end it.
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
      // A long stderr may have cut off the report of the end. Then ssh's exit code is used.
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

/** Returns the command with which a person reaches a host. */
export function sshCommand(key: string, address: string): string {
  return `ssh -i ${shellLine([key])} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@${address}`;
}

/** Returns ssh options that ignore the caller's ssh configuration and known hosts and forbid prompts. */
function settings({ name, key, folder, port }: SshOptions & { port: number }): string[] {
  const values = {
    BatchMode: 'yes',
    ConnectTimeout: String(connectSeconds),
    ControlMaster: 'no',
    GlobalKnownHostsFile: '/dev/null',
    // Addresses are reused between servers; the alias keeps their keys apart.
    HostKeyAlias: name,
    IdentitiesOnly: 'yes',
    // Not as -i, which looks for the file before it expands the path as it does here.
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

/** Escapes percent signs, which ssh expands in these paths. */
const percentFree = (path: string) => path.replaceAll('%', '%%');

function lastLine(stderr: string): string {
  return stderr.trim().split('\n').at(-1)?.trim() || 'ssh said nothing';
}

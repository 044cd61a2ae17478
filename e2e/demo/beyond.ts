// Programs beside the hosts, where builds may connect to: they run in the network namespace of the lab's segment.
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { eventually } from '../harness/eventually.ts';
import type { Lab } from '../harness/lab/lab.ts';
import { HarnessError } from '../harness/provider.ts';

export type Beyond = Lab['beyond'];

const registryPort = 5000;
const balancerMain = fileURLToPath(new URL('balancer.ts', import.meta.url));

/** Returns the registry's address before it is started: the beginning of a reference. */
export function registryAddress({ address }: Beyond): string {
  return `${address}:${registryPort}`;
}

/** Starts Debian's docker-registry, without TLS. @throws HarnessError with its output when it does not start */
export async function startDemoRegistry(beyond: Beyond, folder: string): Promise<AsyncDisposable> {
  await mkdir(folder, { recursive: true });
  const config = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder, 'store') } },
    http: { addr: registryAddress(beyond) },
  };
  const configPath = join(folder, 'config.yml');
  await writeFile(configPath, JSON.stringify(config)); // YAML is a superset of it
  return await startBeyond(beyond, ['docker-registry', 'serve', configPath], registryPort);
}

/** Starts the balancer in front of the brokers, on their port. @param backends their addresses @throws HarnessError */
export async function startDemoBalancer(
  beyond: Beyond,
  backends: readonly string[],
  port: number,
): Promise<AsyncDisposable> {
  const program = [process.execPath, balancerMain, beyond.address, String(port), ...backends];
  return await startBeyond(beyond, program, port);
}

/** Starts a program and resolves once it listens. */
async function startBeyond(
  { netns, address }: Beyond,
  program: readonly string[],
  port: number,
): Promise<AsyncDisposable> {
  const inside = [`--net=${netns}`, '--'];
  // pdeathsig kills the program when the demo is killed.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'nsenter', ...inside, ...program], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  let ended = false;
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-2000);
  });
  child.once('error', error => {
    said += error.message;
  });
  const exited = new Promise<void>(resolve => child.once('close', () => resolve()));
  void exited.then(() => {
    ended = true;
  });
  const running: AsyncDisposable = {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
  const answers = async () => {
    if (ended) throw new HarnessError(`${program.join(' ')} did not come up: ${said.trim()}`);
    const probe = ['bash', '-c', `: </dev/tcp/${address}/${port}`];
    const { code } = await runChild('nsenter', [...inside, ...probe], { timeoutMs: 10_000 });
    return code === 0 ? true : undefined;
  };
  try {
    await eventually(`${program[0]} to listen`, answers, { timeoutMs: 20_000, everyMs: 100 });
    return running;
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

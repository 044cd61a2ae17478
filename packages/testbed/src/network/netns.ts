import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type ChildResult, runChild } from '@coold/runtime';
import type { Ask, Told } from './netns-agent.ts';

/** A network namespace of its own, with a process in it that answers on some ports and can try to reach others. */
export interface Netns {
  pid: number;
  /** Runs a program in the namespace (and its mount namespace). Rejects for a non-zero exit code, unless that is allowed. */
  exec(program: string, args: readonly string[], options?: ExecOptions): Promise<ChildResult>;
  /** The address under which the other side saw us, or null when no answer came within `waitMs`. */
  reach(protocol: 'tcp' | 'udp', address: string, port: number, waitMs: number): Promise<string | null>;
  close(): Promise<void>;
}

export interface ExecOptions {
  env?: NodeJS.ProcessEnv;
  input?: string;
  /** Of its output, in bytes; what comes after that is left out. */
  maxOutputBytes?: number;
  /** A non-zero exit is a result. */
  mayFail?: boolean;
}

const agent = fileURLToPath(new URL('./netns-agent.ts', import.meta.url));

/** Creates a namespace (needs root) whose process answers every TCP connection and UDP packet on `ports`. */
export async function createNetns(ports: readonly number[] = []): Promise<Netns> {
  const child = spawn('unshare', ['-n', '-m', '--', process.execPath, agent, ...ports.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child, 'spawn');
  const { pid } = child;
  if (pid === undefined) throw new Error('unshare did not start');
  const waiting = new Map<number, (told: Told) => void>();
  createInterface({ input: child.stdout }).on('line', line => {
    const told = JSON.parse(line) as Told;
    waiting.get(told.id)?.(told);
    waiting.delete(told.id);
  });
  let asked = 0;

  async function exec(program: string, args: readonly string[], options: ExecOptions = {}) {
    const { mayFail = false, env = process.env, input, maxOutputBytes } = options;
    const result = await runChild('nsenter', ['-t', String(pid), '-n', '-m', '--', program, ...args], {
      timeoutMs: 30_000,
      env,
      ...(input === undefined ? {} : { input }),
      ...(maxOutputBytes === undefined ? {} : { maxOutputBytes }),
    });
    if (result.code !== 0 && !mayFail)
      throw new Error(`${program} ${args.join(' ')}: exit ${result.code}: ${result.stderr}`);
    return result;
  }
  function reach(protocol: 'tcp' | 'udp', address: string, port: number, waitMs: number) {
    asked += 1;
    const ask: Ask = { id: asked, protocol, address, port, waitMs };
    return new Promise<string | null>(resolve => {
      waiting.set(ask.id, told => resolve(told.seenAs));
      child.stdin.write(`${JSON.stringify(ask)}\n`);
    });
  }
  // unshare may not have created the namespace before the process answers.
  await reach('tcp', '127.0.0.1', 9, 1);
  await exec('ip', ['link', 'set', 'lo', 'up']);
  return {
    pid,
    exec,
    reach,
    async close() {
      const gone = once(child, 'exit');
      child.stdin.end();
      await gone;
    },
  };
}

/** Connects two namespaces by a veth pair. Each end has its name inside its namespace. */
export async function joinNetns(a: Netns, aName: string, b: Netns, bName: string): Promise<void> {
  await a.exec('ip', ['link', 'add', aName, 'type', 'veth', 'peer', 'name', bName, 'netns', String(b.pid)]);
  await a.exec('ip', ['link', 'set', aName, 'up']);
  await b.exec('ip', ['link', 'set', bName, 'up']);
}

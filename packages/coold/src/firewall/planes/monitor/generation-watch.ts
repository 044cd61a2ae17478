import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { createLines } from '../lines.ts';
import type { RunTool } from '../nft-plane.ts';
import { isListening } from './netlink-listening.ts';

/** Reports the first generation of nf_tables, one per transaction, after this watch began. */
export interface GenerationWatch {
  /** Resolves with the first generation, and never while there is none. Undefined when it can no longer be known. */
  readonly first: Promise<number | undefined>;
  end(): void;
}

/** How long the watch may take to begin, in ms. It reads nothing first. */
const listeningMs = 1000;

/**
 * Begins to watch. `nft monitor` reads every rule before it listens, and never sees what happens meanwhile;
 * xtables-monitor listens at once.
 *
 * @returns undefined when there is no such program or it does not begin
 */
export async function watchGenerations(stop: AbortSignal): Promise<GenerationWatch | undefined> {
  // IPv6 events and generations only, so that it does not print thousands of IPv4 rules.
  const monitor = ['xtables-monitor', '--event', '--ipv6'];
  const child: ChildProcessByStdio<null, Readable, null> = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', '--', 'stdbuf', '--output=L', ...monitor],
    { stdio: ['ignore', 'pipe', 'ignore'], signal: stop, killSignal: 'SIGKILL' },
  );
  const first = Promise.withResolvers<number | undefined>();
  const over = new AbortController();
  const unknown = () => {
    over.abort();
    first.resolve(undefined);
  };
  child.once('error', unknown);
  // It also ends by itself, when the kernel announces more than it can read.
  child.once('close', unknown);
  const lines = createLines(line => {
    const generation = readGeneration(line);
    if (generation !== undefined) first.resolve(generation);
  });
  child.stdout.on('data', lines.take);
  const end = () => void child.kill('SIGKILL');
  if (child.pid !== undefined && (await isListening(child.pid, listeningMs, over.signal)))
    return { first: first.promise, end };
  end();
  return undefined;
}

/** Parses a line such as `NEWGEN: GENID=5 PID=28519 NAME=iptables`. Pure. */
export function readGeneration(line: string): number | undefined {
  const [, digits] = /^NEWGEN:\s+GENID=(\d{1,10}) /.exec(line) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** Makes a transaction that changes nothing and is announced all the same. @throws Error */
export async function makeGeneration(run: RunTool): Promise<void> {
  const table = 'table bridge coolify_generation';
  await run('nft', ['-f', '-'], `add ${table}\ndelete ${table}\n`);
}

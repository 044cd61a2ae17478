import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type Backoff, createBackoff, type Logger } from '@coold/runtime';
import { createHeldLines, type HeldLines } from './held-lines.ts';
import { type NftEvent, readNftEvent } from './nft-event.ts';

export interface NftWatchOptions {
  /** Tables and chains of which everything is told. */
  names: readonly string[];
  /** Chains of which only that something changed is told. */
  elsewhere: readonly string[];
  onEvent(event: NftEvent): void;
  /** What announces comes from now on through this, and can be held back there. */
  onOutput?(output: Pick<HeldLines, 'hold' | 'release'>): void;
  /** From now on everything is announced (true), or nothing any more (false). */
  onState(up: boolean): void;
  log: Logger;
  /** How long a monitor may take to be listening, in ms: it reads every rule first, and hosts are busy at boot. */
  listeningMs?: number;
  backoff?: Backoff;
}

/** Runs `nft -a monitor` until `stop`, again whenever it ends; it dies with this process. */
export async function watchNft(options: NftWatchOptions, stop: AbortSignal): Promise<void> {
  const { log, onState } = options;
  const backoff = options.backoff ?? createBackoff({ firstMs: 500, maxMs: 30_000 });
  while (!stop.aborted) {
    const why = await monitorOnce(options, stop, () => {
      backoff.reset();
      onState(true);
    });
    onState(false);
    if (stop.aborted) return;
    const waitMs = 100 + backoff.next();
    log.warn(
      { why, again_in_ms: waitMs },
      'nft monitor ended; each change of the firewall is checked by a listing meanwhile',
    );
    await delay(waitMs, undefined, { signal: stop }).catch(() => {});
  }
}

async function monitorOnce(
  { names, elsewhere, onEvent, onOutput, listeningMs = 15_000 }: NftWatchOptions,
  stop: AbortSignal,
  onListening: () => void,
): Promise<string> {
  // Before others: the kernel drops what is not taken from it in time, and then only a listing helps.
  const args = ['--pdeathsig', 'KILL', '--', 'nice', '-n', '-10', 'nft', '-a', 'monitor'];
  const child = spawn('setpriv', args, {
    stdio: ['ignore', 'pipe', 'ignore'],
    signal: stop,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<string>(resolve => {
    child.once('error', error => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal ?? `exit ${code}`));
  });
  if (child.pid === undefined) return await ended;
  const held = createHeldLines(line => {
    const event = readNftEvent(line, names, elsewhere);
    if (event !== undefined) onEvent(event);
  });
  onOutput?.(held);
  child.stdout.on('data', held.take);
  const over = new AbortController();
  void ended.then(() => over.abort());
  if (await untilListening(child.pid, listeningMs, over.signal)) onListening();
  else child.kill('SIGKILL');
  return await ended;
}

/**
 * A monitor does not say when it begins to listen, and what happened before is never announced; the kernel's list of
 * netlink sockets does.
 */
async function untilListening(pid: number, timeoutMs: number, over: AbortSignal): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  // protocol 12: netfilter; a group mask that is not empty: it listens.
  const listening = new RegExp(`^\\S+ +12 +${pid} +(?!0+ )[0-9a-f]+ `, 'm');
  while (!over.aborted && performance.now() < end) {
    const sockets = await readFile(`/proc/${pid}/net/netlink`, 'utf8').catch(() => '');
    if (listening.test(sockets)) return true;
    await delay(5, undefined, { signal: over }).catch(() => {});
  }
  return false;
}

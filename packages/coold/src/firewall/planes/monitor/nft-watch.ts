import { spawn } from 'node:child_process';
import { type Backoff, createBackoff, type Logger, pause } from '@coold/runtime';
import { createHeldLines, type HeldLines } from './held-lines.ts';
import { isListening } from './netlink-listening.ts';
import { type NftEvent, readNftEvent } from './nft-event.ts';

export interface NftWatchOptions {
  /** Tables and chains to report in full. */
  names: readonly string[];
  /** Chains of which only the fact of a change is reported. */
  elsewhere: readonly string[];
  onEvent(event: NftEvent): void;
  /** Called with the monitor's output, so that the caller can hold lines back. */
  onOutput?(output: Pick<HeldLines, 'hold' | 'release'>): void;
  /** Called with true when everything is announced from now on, and with false when nothing is any more. */
  onState(up: boolean): void;
  log: Logger;
  /** How long a monitor may take until it listens, in ms: it reads every rule first, and hosts are busy at boot. */
  listeningMs?: number;
  backoff?: Backoff;
}

/** How a monitor ended. */
interface Ended {
  why: string;
  /** It met something unknown and would have continued without reporting it. */
  isBlind: boolean;
}

/** The pause before a monitor that lost track is restarted, in ms, because the cause may last. */
const blindMs = 50;

/** Runs `nft -a monitor` until `stop` and restarts it whenever it ends. The monitor dies with this process. */
export async function watchNft(options: NftWatchOptions, stop: AbortSignal): Promise<void> {
  const { log, onState } = options;
  const backoff = options.backoff ?? createBackoff({ firstMs: 500, maxMs: 30_000 });
  while (!stop.aborted) {
    const { why, isBlind } = await monitorOnce(options, stop, () => {
      backoff.reset();
      onState(true);
    });
    onState(false);
    if (stop.aborted) return;
    if (isBlind) {
      log.debug({ why }, 'nft monitor lost track; it is started anew');
      await pause(blindMs, stop);
      continue;
    }
    const waitMs = 100 + backoff.next();
    log.warn(
      { why, again_in_ms: waitMs },
      'nft monitor ended; each change of the firewall is checked by a listing meanwhile',
    );
    await pause(waitMs, stop);
  }
}

const warningPattern = /^W: /m;

async function monitorOnce(
  { names, elsewhere, onEvent, onOutput, listeningMs = 15_000 }: NftWatchOptions,
  stop: AbortSignal,
  onListening: () => void,
): Promise<Ended> {
  // Before others: the kernel drops what is not taken from it in time, and then only a listing helps.
  const args = ['--pdeathsig', 'KILL', '--', 'nice', '-n', '-10', 'nft', '-a', 'monitor'];
  const child = spawn('setpriv', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: stop,
    killSignal: 'SIGKILL',
  });
  let warning: string | undefined;
  const ended = new Promise<Ended>(resolve => {
    child.once('error', error => resolve({ why: error.message, isBlind: false }));
    child.once('close', (code, signal) =>
      resolve({ why: warning ?? signal ?? `exit ${code}`, isBlind: warning !== undefined }),
    );
  });
  if (child.pid === undefined) return await ended;
  const held = createHeldLines(line => {
    const event = readNftEvent(line, names, elsewhere);
    if (event !== undefined) onEvent(event);
  });
  onOutput?.(held);
  child.stdout.on('data', held.take);
  // Some versions lose track of a set that is added again: the monitor warns and reports no more of its elements.
  child.stderr.on('data', (chunk: Buffer) => {
    if (warning !== undefined || !warningPattern.test(chunk.toString())) return;
    warning = chunk.toString().split('\n')[0];
    child.kill('SIGKILL');
  });
  const over = new AbortController();
  void ended.then(() => over.abort());
  if (await isListening(child.pid, listeningMs, over.signal)) onListening();
  else child.kill('SIGKILL');
  return await ended;
}

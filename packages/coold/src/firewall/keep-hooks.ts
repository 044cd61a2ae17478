import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff, type Logger, type Task } from '@coold/runtime';
import { liftHooks } from './hooks.ts';
import { listIptables, restoreIptables } from './iptables.ts';

/** Between two looks where nothing was announced: iptables-legacy announces nothing, and a monitor can miss. */
const everyMs = 5000;

/**
 * Keeps the scaffold's hooks above everything else in FORWARD (CONTRACT §4): netavark puts a chain there that accepts all
 * traffic of its networks. Looks whenever the kernel announces a change of these chains, and every few seconds besides.
 */
export function keepHooks(log: Logger): Task {
  return async stop => {
    const announced = watchChains(log, stop);
    const backoff = createBackoff({ firstMs: 1000, maxMs: 60_000 });
    while (!stop.aborted) {
      // Taken before the look: what changes during it is looked at again.
      const change = announced.next();
      try {
        if (await liftOnce())
          log.warn('something stood above the default deny in FORWARD; its hooks are on top again');
        backoff.reset();
        await Promise.race([change, delay(everyMs, undefined, { signal: stop }).catch(() => {})]);
      } catch (error) {
        const waitMs = 1000 + backoff.next();
        log.error(
          { err: error, again_in_ms: waitMs },
          'cannot see to the hooks of the default deny; trying again',
        );
        await delay(waitMs, undefined, { signal: stop }).catch(() => {});
      }
    }
  };
}

/** @returns whether anything had to be lifted @throws Error when the packet filter's tools fail */
export async function liftOnce(): Promise<boolean> {
  const [forward, postrouting] = await Promise.all([
    listIptables('filter', 'FORWARD'),
    listIptables('nat', 'POSTROUTING'),
  ]);
  const script = liftHooks({ forward, postrouting });
  if (script === '') return false;
  await restoreIptables(script);
  return true;
}

/** `next` resolves when one of the hooked chains has changed since it was called last. */
function watchChains(log: Logger, stop: AbortSignal): { next(): Promise<void> } {
  let changed = Promise.withResolvers<void>();
  const announce = () => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  void monitor(log, stop, line => {
    if (/ (FORWARD|POSTROUTING) /.test(line)) announce();
  });
  return { next: () => changed.promise };
}

/** Runs `nft monitor` for as long as it takes, again whenever it ends; it dies with this process. */
async function monitor(log: Logger, stop: AbortSignal, onLine: (line: string) => void): Promise<void> {
  const backoff = createBackoff({ firstMs: 1000, maxMs: 60_000 });
  while (!stop.aborted) {
    const args = ['--pdeathsig', 'KILL', '--', 'nft', 'monitor', 'rules'];
    const child = spawn('setpriv', args, { stdio: ['ignore', 'pipe', 'ignore'], signal: stop });
    const lines = createInterface({ input: child.stdout });
    lines.on('line', line => {
      backoff.reset();
      onLine(line);
    });
    const why = await new Promise<string>(resolve => {
      child.once('error', error => resolve(error.message));
      child.once('close', (code, signal) => resolve(signal ?? `exit ${code}`));
    });
    if (stop.aborted) return;
    const waitMs = 1000 + backoff.next();
    log.warn(
      { why, again_in_ms: waitMs },
      `nft monitor ended; the hooks are looked at every ${everyMs} ms meanwhile`,
    );
    await delay(waitMs, undefined, { signal: stop }).catch(() => {});
  }
}

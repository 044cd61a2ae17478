import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type ChangeSignal, createBackoff, type Logger, pause, type Task } from '@coold/runtime';

/** A change causes several lines, for an address and its routes. They are reported together after this many ms. */
const settleMs = 200;
/** The pause between two reports, in ms, so that a host that changes all the time does not redial all the time. */
const restMs = 1000;

/**
 * Reports changes of this host's addresses or routes: what could not be reached a moment ago may be reachable now, and
 * from another address. Container links do not count, since no broker is behind them.
 */
export function watchWays(changed: Pick<ChangeSignal, 'announce'>, log: Logger): Task {
  return async stop => {
    const backoff = createBackoff({ firstMs: 1000, maxMs: 60_000 });
    let isKnownBroken = false;
    let due: NodeJS.Timeout | undefined;
    let lastAt = Number.NEGATIVE_INFINITY;
    const onLine = (line: string) => {
      if (due !== undefined || isOfContainers(line) || isOfLinkOnly(line)) return;
      due = setTimeout(
        () => {
          due = undefined;
          lastAt = performance.now();
          changed.announce();
        },
        Math.max(settleMs, lastAt + restMs - performance.now()),
      );
    };
    while (!stop.aborted) {
      const begunAt = performance.now();
      const why = await monitor(onLine, stop);
      if (stop.aborted) break;
      if (performance.now() - begunAt > restMs) backoff.reset();
      const line =
        'ip monitor ended; until it runs again a broker that is away is dialled by the clock alone';
      log[isKnownBroken ? 'debug' : 'warn']({ reason: why }, line);
      isKnownBroken = true;
      await pause(restMs + backoff.next(), stop);
    }
    clearTimeout(due);
  };
}

/** Runs `ip monitor` until it ends, and returns why it did. It dies with this process. */
async function monitor(onLine: (line: string) => void, stop: AbortSignal): Promise<string> {
  const args = ['--pdeathsig', 'KILL', '--', 'ip', '-o', 'monitor', 'address', 'route'];
  const child = spawn('setpriv', args, {
    stdio: ['ignore', 'pipe', 'ignore'],
    signal: stop,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<string>(resolve => {
    child.once('error', error => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal ?? `exit ${code}`));
  });
  if (child.pid !== undefined) createInterface({ input: child.stdout }).on('line', onLine);
  return await ended;
}

/** Whether a line of `ip -o monitor address route` concerns a container's link or a bridge of such links. */
export function isOfContainers(line: string, isBridge = isBridgeHere): boolean {
  const link = /(?:^|\s)dev (\S+)/.exec(line)?.[1] ?? /^(?:Deleted )?\d+: (\S+)/.exec(line)?.[1];
  return link !== undefined && (/^(veth|podman)/.test(link) || isBridge(link));
}

/**
 * Whether a line of `ip -o monitor address route` concerns IPv6 link-local addresses or multicast. The kernel adds
 * these a second after any link is up, and no broker is reached by them.
 */
export function isOfLinkOnly(line: string): boolean {
  return /^(?:Deleted )?(?:\d+: \S+\s+inet6 |local |multicast |anycast )?(?:fe80:|ff[0-9a-f]{2}:)/.test(line);
}

function isBridgeHere(link: string): boolean {
  return existsSync(`/sys/class/net/${link}/bridge`);
}

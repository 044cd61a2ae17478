import { readFile } from 'node:fs/promises';
import type { Logger, Task } from '@coold/runtime';
import { pause } from '@coold/runtime/pause';
import { judgeRoute } from './link-route.ts';
import { createResolve1, type Resolve1, Resolve1Error } from './resolve1.ts';

/** Why the host itself does not resolve the zone; undefined when it does. */
export interface HostRouteState {
  problem: string | undefined;
}

export interface HostRouteOptions {
  /** The link that gets the route. */
  link: string;
  zone: string;
  /** Where coold answers on loopback. */
  server: string;
  /** Whether coold answers there already. */
  isServed: () => boolean;
  log: Logger;
  resolve1?: Resolve1;
  /** Returns the kernel's number of a link; undefined when there is no such link. */
  indexOf?: (link: string) => Promise<number | undefined>;
  /** The interval of checks, in ms. */
  lookEveryMs?: number;
}

export interface HostRoute {
  state: Readonly<HostRouteState>;
  /** Removes the route when its signal fires. */
  run: Task;
}

/** How often to check whether the listener is there, in ms. */
const listenerCheckMs = 250;

/**
 * Makes systemd-resolved ask coold for the zone's names, so that programs on the host itself resolve them, and
 * maintains that: the route disappears with the link, which may come and go. All other names are asked where they were
 * before. Another program's settings on the link are left alone.
 */
export function keepHostRoute(options: HostRouteOptions): HostRoute {
  const { link, zone, server, isServed, log, lookEveryMs = 5000 } = options;
  const { resolve1 = createResolve1(), indexOf = readIndex } = options;
  const state: HostRouteState = { problem: `${link} has no route to the zone yet` };
  /** The number of the link that had the route at the last check. */
  let routed: number | undefined;

  function fail(problem: string): void {
    if (state.problem !== problem)
      log.warn({ reason: problem }, 'this host itself does not resolve the zone; trying again');
    state.problem = problem;
  }

  async function look(): Promise<void> {
    const index = await indexOf(link);
    if (index === undefined) return fail(`there is no ${link}`);
    const standing = judgeRoute(await resolve1.read(index), server, zone);
    switch (standing.kind) {
      case 'foreign':
        routed = undefined;
        return fail(
          `${link} has ${standing.what} in systemd-resolved that coold did not set, and leaves alone: take them away, or unset COOLD_DNS_HOST_ROUTE`,
        );
      case 'missing': {
        await resolve1.route(index, server, zone);
        const again = routed === undefined ? '' : ', which had lost it';
        log.info({ link, server, domain: `~${zone}` }, `systemd-resolved asks coold for the zone${again}`);
        break;
      }
      case 'in place':
        break;
    }
    routed = index;
    state.problem = undefined;
  }

  async function takeBack(): Promise<void> {
    const index = await indexOf(link);
    if (index === undefined) return;
    // Another program's settings are not removed.
    if (judgeRoute(await resolve1.read(index), server, zone).kind !== 'in place') return;
    await resolve1.revert(index);
    log.info({ link }, 'systemd-resolved asks coold no longer');
  }

  /** A refusal by systemd-resolved is a problem of the host and never ends coold. */
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Resolve1Error)) throw error;
      fail(error.message);
    }
  };

  return {
    state,
    async run(stop) {
      while (!stop.aborted && !isServed()) await pause(listenerCheckMs, stop);
      while (!stop.aborted) {
        await attempt(look);
        await pause(lookEveryMs, stop);
      }
      if (routed !== undefined) await attempt(takeBack);
    },
  };
}

async function readIndex(link: string): Promise<number | undefined> {
  const text = await readFile(`/sys/class/net/${link}/ifindex`, 'utf8').catch(() => '');
  return /^\d+\n$/.test(text) ? Number(text) : undefined;
}

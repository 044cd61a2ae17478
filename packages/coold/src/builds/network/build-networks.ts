import { randomInt } from 'node:crypto';
import {
  createBackoff,
  createChangeSignal,
  errorMessage,
  type Logger,
  pause,
  type Task,
  writeFileAtomically,
} from '@coold/runtime';
import { makeRunFolder } from '../../run-folder.ts';
import { planAddresses } from './address-plan.ts';
import { type BuildNetwork, slotOfCable } from './cable.ts';
import type { HostNetwork } from './host-network.ts';
import { BuildPacketFilter } from './keep-packet-filter.ts';
import { type NameServer, type NameServerOptions, startNameServer } from './name-server.ts';
import { NetworkError } from './network-error.ts';
import { buildResolvConf } from './resolvers.ts';
import { collision, type Route, uplinksOf } from './routes.ts';
import { Slots } from './slots.ts';

/** The networks of this host's builds. Each build has its own, which leads to the internet only (docs/contract.md §7). */
export interface BuildNetworks {
  /**
   * Makes sure that the packet filter is in place, and reserves a slot and address for a build.
   *
   * @throws NetworkError when a build cannot have a network now
   */
  prepare(requestId: string): Promise<BuildNetwork>;
  /** Frees the slot of a build whose unit is over or never started. The kernel removes the cable with the namespace. */
  release(requestId: string): void;
  /** Maintains the packet filter and the name server while builds run, including those of an earlier coold. */
  run: Task;
}

export interface BuildNetworksOptions {
  /** COOLD_BUILDER_NET. */
  net: string;
  allowed: readonly string[];
  denied: readonly string[];
  /** The interface of the mesh. */
  mesh: string;
  dns: Pick<NameServerOptions, 'zone' | 'upstreams'>;
  /** The path of the resolv.conf of builds. */
  resolvConf: string;
  host: HostNetwork;
  log: Logger;
  /** The interval of checks of the packet filter while builds run, in ms. */
  lookEveryMs?: number;
  /**
   * The slot before the first one that is reserved. Default: random, so that a coold that was killed while it started a build
   * and the next coold are unlikely to reserve the same slot.
   */
  lastSlot?: number;
}

/** How long a build waits for the setup of the network when coold starts, in ms. */
const setUpMs = 10_000;

export function createBuildNetworks(options: BuildNetworksOptions): BuildNetworks {
  const { mesh, dns, resolvConf, host, log, lookEveryMs = 2000 } = options;
  const plan = planAddresses(options.net);
  const slots = new Slots(plan.slots, options.lastSlot ?? randomInt(plan.slots.first, plan.slots.last));
  const filter = new BuildPacketFilter({ ...options, plan });
  /** undefined: the network of builds is not set up now. */
  let server: NameServer | undefined;
  /** Announced each time the network of builds has been set up. */
  const ready = createChangeSignal();
  const inTurn = createTurns();
  const ensure = () => filter.ensure(server);

  async function setUp(): Promise<NameServer> {
    await host.holdGateway(plan.gateway);
    const started = await startNameServer({ ...dns, gateway: plan.gateway });
    server = started;
    await writeResolvConf();
    await inTurn(ensure);
    await removeStrayNamespaces(host, log).catch((error: unknown) => {
      log.warn({ err: error }, 'network namespaces without a build stay until the next start');
    });
    return started;
  }

  async function writeResolvConf(): Promise<void> {
    await makeRunFolder(resolvConf);
    await writeFileAtomically(resolvConf, buildResolvConf(plan.gateway), 0o644);
  }

  async function place(requestId: string): Promise<BuildNetwork> {
    const [routes, plugged] = await Promise.all([ensure(), pluggedSlots(host)]);
    checkFree(routes, plan.net);
    // Written again, since systemd may have removed the folder together with the unit of a broker.
    await writeResolvConf();
    const slot = slots.reserve(requestId, plugged);
    if (slot === undefined)
      throw new NetworkError(`COOLD_BUILDER_NET=${plan.net} has no free address for another build`);
    const mtus = await Promise.all(uplinksOf(routes, mesh).map(host.mtuOf));
    return {
      slot,
      address: plan.addressOf(slot),
      gateway: plan.gateway,
      resolvConf,
      mtu: Math.min(1500, ...mtus),
    };
  }

  /** Checks the packet filter until coold stops or the name server fails. @throws the error of the name server */
  async function keep({ failed }: NameServer, stop: AbortSignal): Promise<void> {
    const either = AbortSignal.any([stop, failed]);
    while (!either.aborted) {
      await pause(lookEveryMs, either);
      if (either.aborted) break;
      if (slots.size === 0 && (await pluggedSlots(host)).size === 0) continue;
      await inTurn(ensure).catch((error: unknown) => {
        log.error({ err: error }, 'cannot check the packet filter of builds; trying again');
      });
    }
    if (!stop.aborted) throw failed.reason;
  }

  return {
    async prepare(requestId) {
      try {
        await ready.later(0, setUpMs);
        if (ready.count() === 0)
          throw new NetworkError('the network of builds is not set up yet; the log of coold says why');
        return await inTurn(() => place(requestId));
      } catch (error) {
        if (error instanceof NetworkError) throw error;
        throw new NetworkError(errorMessage(error), { cause: error });
      }
    },
    release: requestId => slots.release(requestId),
    async run(stop) {
      const backoff = createBackoff({ firstMs: 500, maxMs: 30_000 });
      while (!stop.aborted) {
        try {
          const serving = await setUp();
          backoff.reset();
          ready.announce();
          await keep(serving, stop);
        } catch (error) {
          log.error({ err: error }, 'builds have no network; trying again');
        } finally {
          server?.close();
          server = undefined;
        }
        if (!stop.aborted) await pause(backoff.next(), stop);
      }
      host.letRulesGo();
    },
  };
}

/** Returns what runs changes one after the other: two at once would undo each other. */
function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let queue: Promise<unknown> = Promise.resolve();
  return work => {
    const result = queue.then(work);
    queue = result.catch(() => {});
    return result;
  };
}

/** Returns the slots whose cable is in the kernel. */
async function pluggedSlots(host: HostNetwork): Promise<Set<number>> {
  const names = await host.interfaces();
  return new Set(names.map(slotOfCable).filter(slot => slot !== undefined));
}

async function removeStrayNamespaces(host: HostNetwork, log: Logger): Promise<void> {
  for (const name of await host.strayNamespaces()) {
    log.warn({ namespace: name }, 'removing a network namespace that has no build');
    await host.removeNamespace(name);
  }
}

/** @throws NetworkError when this host has a route to a part of the network */
function checkFree(routes: readonly Route[], net: string): void {
  const other = collision(routes, net);
  if (other !== undefined)
    throw new NetworkError(
      `COOLD_BUILDER_NET=${net} is not free: this host has a route to ${other.to} by ${other.devices.join(', ')}; name another network`,
    );
}

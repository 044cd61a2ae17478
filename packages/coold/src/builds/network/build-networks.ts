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
import { type AddressPlan, planAddresses } from './address-plan.ts';
import { type BuildNetwork, slotOfCable } from './cable.ts';
import type { HostNetwork } from './host-network.ts';
import { BuildPacketFilter } from './keep-packet-filter.ts';
import { type NameServer, type NameServerOptions, startNameServer } from './name-server.ts';
import { NetworkError } from './network-error.ts';
import { buildResolvConf } from './resolv-conf.ts';
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
  const networks = new HostBuildNetworks(options);
  return {
    prepare: requestId => networks.prepare(requestId),
    release: requestId => networks.release(requestId),
    run: stop => networks.run(stop),
  };
}

class HostBuildNetworks {
  readonly #options: BuildNetworksOptions;
  readonly #plan: AddressPlan;
  readonly #slots: Slots;
  readonly #filter: BuildPacketFilter;
  /** Undefined: the network of builds is not set up now. */
  #server: NameServer | undefined;
  /** Announced each time the network of builds has been set up. */
  readonly #ready = createChangeSignal();
  readonly #inTurn = createTurns();

  constructor(options: BuildNetworksOptions) {
    this.#options = options;
    this.#plan = planAddresses(options.net);
    const { first, last } = this.#plan.slots;
    this.#slots = new Slots(this.#plan.slots, options.lastSlot ?? randomInt(first, last));
    this.#filter = new BuildPacketFilter({ ...options, plan: this.#plan });
  }

  async prepare(requestId: string): Promise<BuildNetwork> {
    try {
      await this.#ready.later(0, setUpMs);
      if (this.#ready.count() === 0)
        throw new NetworkError('the network of builds is not set up yet; the log of coold says why');
      return await this.#inTurn(() => this.#place(requestId));
    } catch (error) {
      if (error instanceof NetworkError) throw error;
      throw new NetworkError(errorMessage(error), { cause: error });
    }
  }

  release(requestId: string): void {
    this.#slots.release(requestId);
  }

  async run(stop: AbortSignal): Promise<void> {
    const { host, log } = this.#options;
    const backoff = createBackoff({ firstMs: 500, maxMs: 30_000 });
    while (!stop.aborted) {
      try {
        const server = await this.#setUp();
        backoff.reset();
        this.#ready.announce();
        await this.#keep(server, stop);
      } catch (error) {
        log.error({ err: error }, 'builds have no network; trying again');
      } finally {
        this.#server?.close();
        this.#server = undefined;
      }
      if (!stop.aborted) await pause(backoff.next(), stop);
    }
    host.letRulesGo();
  }

  async #setUp(): Promise<NameServer> {
    const { dns, host, log } = this.#options;
    const { gateway } = this.#plan;
    await host.holdGateway(gateway);
    const server = await startNameServer({ ...dns, gateway });
    this.#server = server;
    await this.#writeResolvConf();
    await this.#inTurn(() => this.#ensureFilter());
    await removeStrayNamespaces(host, log).catch((error: unknown) => {
      log.warn({ err: error }, 'network namespaces without a build stay until the next start');
    });
    return server;
  }

  /** Checks the packet filter until coold stops or the name server fails. @throws the error of the name server */
  async #keep({ failed }: NameServer, stop: AbortSignal): Promise<void> {
    const { host, log, lookEveryMs = 2000 } = this.#options;
    const either = AbortSignal.any([stop, failed]);
    while (!either.aborted) {
      await pause(lookEveryMs, either);
      if (either.aborted) break;
      if (this.#slots.size === 0 && (await pluggedSlots(host)).size === 0) continue;
      await this.#inTurn(() => this.#ensureFilter()).catch((error: unknown) => {
        log.error({ err: error }, 'cannot check the packet filter of builds; trying again');
      });
    }
    if (!stop.aborted) throw failed.reason;
  }

  /** Reserves a slot and address. @throws NetworkError */
  async #place(requestId: string): Promise<BuildNetwork> {
    const { net, mesh, resolvConf, host } = this.#options;
    const [routes, plugged] = await Promise.all([this.#ensureFilter(), pluggedSlots(host)]);
    checkFree(routes, net);
    // Written again, since systemd may have removed the folder together with the unit of a broker.
    await this.#writeResolvConf();
    const slot = this.#slots.reserve(requestId, plugged);
    if (slot === undefined)
      throw new NetworkError(`COOLD_BUILDER_NET=${net} has no free address for another build`);
    const mtus = await Promise.all(uplinksOf(routes, mesh).map(host.mtuOf));
    const { gateway } = this.#plan;
    const address = this.#plan.addressOf(slot);
    return { slot, address, gateway, resolvConf, mtu: Math.min(1500, ...mtus) };
  }

  #ensureFilter(): Promise<readonly Route[]> {
    return this.#filter.ensure(this.#server);
  }

  async #writeResolvConf(): Promise<void> {
    const { resolvConf } = this.#options;
    await makeRunFolder(resolvConf);
    await writeFileAtomically(resolvConf, buildResolvConf(this.#plan.gateway), 0o644);
  }
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

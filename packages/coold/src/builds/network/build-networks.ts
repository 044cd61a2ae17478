import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff, type Logger, type Task, writeFileAtomically } from '@coold/runtime';
import { planAcceptance } from './accept-rules.ts';
import { planAddresses } from './address-plan.ts';
import { type BuildNetwork, slotOfCable } from './cable.ts';
import type { HostNetwork } from './host-network.ts';
import { type NameServer, type NameServerOptions, startNameServer } from './name-server.ts';
import { NetworkError } from './network-error.ts';
import { packetRules } from './packet-rules.ts';
import { buildResolvConf } from './resolvers.ts';
import { collision, type Route, uplinksOf } from './routes.ts';

/** The networks of this host's builds: each has one of its own, with one way out (docs/contract.md §7). */
export interface BuildNetworks {
  /**
   * Sees to it that the packet filter stands, and gives a build its place in it.
   *
   * @throws NetworkError when a build cannot have a network now
   */
  prepare(requestId: string): Promise<BuildNetwork>;
  /** Its unit is over, or never came to be. Its cable is gone with its namespace. */
  release(requestId: string): void;
  /** Keeps the packet filter and the name server for as long as builds run, also those of an earlier coold. */
  run: Task;
}

export interface BuildNetworksOptions {
  /** COOLD_BUILDER_NET. */
  net: string;
  allowed: readonly string[];
  denied: readonly string[];
  /** The mesh's interface. */
  mesh: string;
  dns: Pick<NameServerOptions, 'zone' | 'upstreams'>;
  /** Where builds' resolv.conf is put. */
  resolvConf: string;
  host: HostNetwork;
  log: Logger;
  /** How often it is looked whether what was put in is still there while builds run, in ms. */
  lookEveryMs?: number;
  /**
   * The slot before the first that is given out. Default: any, so that a coold that was killed while it started a build and
   * the next one hardly give out the same.
   */
  lastSlot?: number;
}

/** A build waits no longer than this for what coold sets up when it starts, in ms. */
const setUpMs = 10_000;
const ipv4Only = (nets: readonly string[]) => nets.filter(net => !net.includes(':'));

export function createBuildNetworks(options: BuildNetworksOptions): BuildNetworks {
  const { mesh, dns, resolvConf, host, log, lookEveryMs = 2000 } = options;
  const plan = planAddresses(options.net);
  const taken = new Map<string, number>();
  let last = options.lastSlot ?? randomInt(plan.slots.first, plan.slots.last);
  let server: NameServer | undefined;
  const ready = Promise.withResolvers<void>();
  /** What was last put in, and how nft lists it. */
  let applied: { text: string; listed: string | undefined } | undefined;
  let warned = '';
  let queue: Promise<unknown> = Promise.resolve();

  /** Two at once would each undo the other's. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = queue.then(work);
    queue = result.catch(() => {});
    return result;
  }

  async function ensureRules(routes: readonly Route[], listed: string | undefined): Promise<void> {
    if (server === undefined) throw new NetworkError('the name server of builds is not up');
    const text = packetRules({
      ...{ net: plan.net, gateway: plan.gateway, dnsPort: server.port, uplinks: uplinksOf(routes, mesh) },
      ...{ allowed: ipv4Only(options.allowed), denied: ipv4Only(options.denied) },
    });
    if (applied?.text === text && listed !== undefined && applied.listed === listed) return;
    if (applied?.text === text)
      log.warn('the nft table of builds was changed or removed by something else; it is put back');
    await host.applyRules(text);
    applied = { text, listed: await host.listRules() };
  }

  /** Without it builds still get out of most hosts, so that nothing waits for it. Never rejects. */
  async function ensureAcceptance(): Promise<void> {
    try {
      await acceptInIptables(await host.listAcceptance());
    } catch (error) {
      log.warn({ err: error }, 'iptables could not be told to let builds out');
    }
  }

  async function acceptInIptables(listing: readonly string[] | undefined): Promise<void> {
    if (listing === undefined) return;
    const { missing, blocking } = planAcceptance(listing);
    for (const rule of missing) await host.accept(rule);
    const blocked = blocking.join('; ');
    if (blocked !== warned && blocked !== '')
      log.warn({ rules: blocking }, 'iptables ends every packet of a build here: builds cannot get out');
    warned = blocked;
  }

  /** @returns the routes that it goes by */
  async function ensure(): Promise<Route[]> {
    const [routes, listed, forwards] = await Promise.all([
      ...([host.routes(), host.listRules(), host.forwards()] as const),
      ...[ensureAcceptance(), server?.refresh()],
    ]);
    await ensureRules(routes, listed);
    if (!forwards) await host.letForward();
    return routes;
  }

  async function setUp(): Promise<void> {
    await host.holdGateway(plan.gateway);
    server = await startNameServer({ ...dns, gateway: plan.gateway });
    await writeFileAtomically(resolvConf, buildResolvConf(plan.gateway), 0o644);
    await inTurn(ensure);
    await removeStray().catch((error: unknown) => {
      log.warn({ err: error }, 'network namespaces without a build stay until the next start');
    });
  }

  async function removeStray(): Promise<void> {
    for (const name of await host.strayNamespaces()) {
      log.warn({ namespace: name }, 'a network namespace without a build; it is removed');
      await host.removeNamespace(name);
    }
  }

  async function freeSlot(plugged: ReadonlySet<number>): Promise<number> {
    const { first, last: end } = plan.slots;
    const used = new Set([...plugged, ...taken.values()]);
    // The next one, and not the lowest: packets may still be under way to the build that had that.
    for (let step = 1; step <= end - first + 1; step += 1) {
      const slot = first + ((last - first + step) % (end - first + 1));
      if (!used.has(slot)) return slot;
    }
    throw new NetworkError(`COOLD_BUILDER_NET=${plan.net} has no free address for another build`);
  }

  async function cables(): Promise<Set<number>> {
    const names = await host.interfaces();
    return new Set(names.map(slotOfCable).filter(slot => slot !== undefined));
  }

  async function place(requestId: string): Promise<BuildNetwork> {
    const [routes, plugged] = await Promise.all([ensure(), cables()]);
    const other = collision(routes, plan.net);
    if (other !== undefined)
      throw new NetworkError(
        `COOLD_BUILDER_NET=${plan.net} is not free: this host has a route to ${other.to} by ${other.devices.join(', ')}; name another network`,
      );
    const uplinks = uplinksOf(routes, mesh);
    const slot = await freeSlot(plugged);
    taken.set(requestId, slot);
    last = slot;
    const mtus = await Promise.all(uplinks.map(host.mtuOf));
    return {
      ...{ slot, address: plan.addressOf(slot), gateway: plan.gateway, resolvConf },
      mtu: Math.min(1500, ...mtus),
    };
  }

  return {
    async prepare(requestId) {
      const late = new AbortController();
      try {
        await Promise.race([ready.promise, delay(setUpMs, undefined, { signal: late.signal }).then(giveUp)]);
        return await inTurn(() => place(requestId));
      } catch (error) {
        if (error instanceof NetworkError) throw error;
        throw new NetworkError((error as Error).message, { cause: error });
      } finally {
        late.abort();
      }
    },
    release(requestId) {
      taken.delete(requestId);
    },
    async run(stop) {
      const wait = (ms: number, signal: AbortSignal = stop) =>
        delay(ms, undefined, { signal }).catch(() => {});
      const backoff = createBackoff({ firstMs: 500, maxMs: 30_000 });
      while (!stop.aborted) {
        try {
          await setUp();
          backoff.reset();
          ready.resolve();
          await keep(stop, wait);
        } catch (error) {
          log.error({ err: error }, 'builds have no network; trying again');
        } finally {
          server?.close();
          server = undefined;
        }
        if (stop.aborted) return;
        await wait(backoff.next());
      }
    },
  };

  /** Ends with coold, or when the name server breaks. */
  async function keep(
    stop: AbortSignal,
    wait: (ms: number, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    if (server === undefined) return;
    const either = AbortSignal.any([stop, server.failed]);
    while (!either.aborted) {
      await wait(lookEveryMs, either);
      if (either.aborted) break;
      if (taken.size === 0 && (await cables()).size === 0) continue;
      await inTurn(ensure).catch((error: unknown) => {
        log.error({ err: error }, 'the packet filter of builds could not be looked at; trying again');
      });
    }
    if (!stop.aborted) throw server.failed.reason;
  }
}

function giveUp(): never {
  throw new NetworkError('the network of builds is not set up yet; the log of coold says why');
}

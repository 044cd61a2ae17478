import type { Logger } from '@coold/runtime';
import { planAcceptance } from './accept-rules.ts';
import type { AddressPlan } from './address-plan.ts';
import type { HeldText } from './held-table.ts';
import type { HostNetwork } from './host-network.ts';
import type { NameServer } from './name-server.ts';
import { NetworkError } from './network-error.ts';
import { heldPacketRules, packetRules } from './packet-rules.ts';
import { type Route, uplinksOf } from './routes.ts';

export interface PacketFilterOptions {
  plan: AddressPlan;
  allowed: readonly string[];
  denied: readonly string[];
  /** The interface of the mesh. */
  mesh: string;
  host: HostNetwork;
  log: Logger;
}

/** The interval of attempts to hold the rules, in ms. On a kernel without owner tables they always fail. */
const holdAgainMs = 60_000;
const ipv4Only = (nets: readonly string[]) => nets.filter(net => !net.includes(':'));

/** Puts the packet filter of builds into the kernel, and back when other programs change it. */
export class BuildPacketFilter {
  readonly #options: PacketFilterOptions;
  /** The rules that were last applied, and how nft lists them. */
  #applied: { text: string; listed: string | undefined } | undefined;
  /** The rules of iptables that drop the packets of builds, as the log told last. */
  #warned = '';
  /** Set while holding the rules fails, with the time of the next attempt. */
  #unheld: { mark: string; until: number } | undefined;

  constructor(options: PacketFilterOptions) {
    this.#options = options;
  }

  /**
   * Makes sure that rules, forwarding and name server are in place. Call it once at a time.
   *
   * @param server undefined: it does not run
   * @returns the current routes
   * @throws NetworkError when the name server does not run, Error when the kernel refuses
   */
  async ensure(server: NameServer | undefined): Promise<Route[]> {
    const { host } = this.#options;
    const [routes, listed, forwards] = await Promise.all([
      host.routes(),
      host.listRules(),
      host.forwards(),
      this.#ensureAcceptance(),
      server?.refresh(),
    ]);
    if (server === undefined) throw new NetworkError('the name server of builds does not run');
    await this.#ensureRules(server.port, routes, listed);
    if (!forwards) await host.letForward();
    return routes;
  }

  async #ensureRules(dnsPort: number, routes: readonly Route[], listed: string | undefined): Promise<void> {
    const { plan, mesh, allowed, denied, host, log } = this.#options;
    const rules = {
      net: plan.net,
      gateway: plan.gateway,
      dnsPort,
      uplinks: uplinksOf(routes, mesh),
      allowed: ipv4Only(allowed),
      denied: ipv4Only(denied),
    };
    await this.#ensureHeld(heldPacketRules(rules));
    const text = packetRules(rules);
    if (this.#applied?.text === text && listed !== undefined && this.#applied.listed === listed) return;
    if (this.#applied?.text === text)
      log.warn('another program changed or removed the nft table of builds; applying it again');
    await host.applyRules(text);
    this.#applied = { text, listed: await host.listRules() };
  }

  /** Applies the held table. Without it, a flush of the packet filter by another program opens it until the next check. Never rejects. */
  async #ensureHeld(text: HeldText): Promise<void> {
    const { host, log } = this.#options;
    const unheld = this.#unheld;
    if (unheld !== undefined && unheld.mark === text.mark && performance.now() < unheld.until) return;
    try {
      await host.holdRules(text);
      this.#unheld = undefined;
    } catch (error) {
      if (this.#unheld === undefined)
        log.warn(
          { err: error },
          'cannot protect the packet filter of builds from other programs: a flush by one of them opens it for up to 2 s',
        );
      this.#unheld = { mark: text.mark, until: performance.now() + holdAgainMs };
    }
  }

  /** Adds the accepting rules to iptables. Most hosts do not need them, so a failure is only logged. Never rejects. */
  async #ensureAcceptance(): Promise<void> {
    const { host, log } = this.#options;
    try {
      await this.#acceptInIptables(await host.listAcceptance());
    } catch (error) {
      log.warn({ err: error }, 'cannot add the rules to iptables that accept packets of builds');
    }
  }

  async #acceptInIptables(listing: readonly string[] | undefined): Promise<void> {
    if (listing === undefined) return;
    const { host, log } = this.#options;
    const { missing, blocking } = planAcceptance(listing);
    for (const rule of missing) await host.accept(rule);
    const blocked = blocking.join('; ');
    if (blocked !== this.#warned && blocked !== '')
      log.warn(
        { rules: blocking },
        'iptables drops every packet of builds on this host: builds have no network',
      );
    this.#warned = blocked;
  }
}

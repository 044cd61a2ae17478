import type { Address, Logger, Task } from '@coold/runtime';
import { pause } from '@coold/runtime/pause';
import type { Forwarder } from './forwarder.ts';
import { readHostResolvers, type resolvConfPaths } from './host-resolvers.ts';
import { formatUpstream, maxUpstreams, type Upstream } from './upstream.ts';
import { healthPlaces, type PlacedUpstream, placeUpstreams, type UpstreamHealth } from './upstream-health.ts';

/** An upstream as stats show it. */
export interface UpstreamState {
  /** With its port. */
  address: string;
  /** False when it is known to be dead: it is skipped while another one is alive. */
  answering: boolean;
}

export interface KeepUpstreamsOptions {
  /** As configured. */
  upstreams: readonly Upstream[];
  /** Our own addresses. They are no upstreams, because they lead back here. */
  own: readonly string[];
  health: UpstreamHealth;
  /** Asks only the upstream in that place. */
  probe: Forwarder['probe'];
  /** Called when the upstreams have changed. */
  onChange(upstreams: readonly PlacedUpstream[]): void;
  log: Logger;
  resolvConf?: typeof resolvConfPaths;
  /** The interval of health checks, in ms. */
  lookEveryMs?: number;
}

export interface KeptUpstreams {
  /** The upstreams in use. */
  now(): readonly PlacedUpstream[];
  states(): UpstreamState[];
  /** Reads the host's own resolvers again. Never rejects. */
  refresh(): Promise<void>;
  run: Task;
}

/** The host's resolv.conf is read every this many checks. */
const looksARead = 10;
/** A dead upstream is probed every this many checks. */
const looksAProbe = 4;

/**
 * Knows the upstreams and which of them are dead. An upstream that left a question unanswered is asked something that
 * every resolver knows, so that it is not blamed for a zone whose own servers are dead. If it does not answer that
 * either, it is skipped until it answers again. Threads report on upstreams in shared memory, which is checked
 * periodically.
 */
export function keepUpstreams(options: KeepUpstreamsOptions): KeptUpstreams {
  const { own, health, probe, onChange, log, lookEveryMs = 500 } = options;
  const isOfHost = options.upstreams.includes('resolv.conf');
  let current = placeUpstreams(distinct(options.upstreams.filter(each => each !== 'resolv.conf')));
  /** By place. */
  const probed = new Set<number>();
  let looks = 0;

  async function refresh(): Promise<void> {
    if (!isOfHost) return;
    const ofHost = await readHostResolvers(own, options.resolvConf);
    const wanted = distinct(options.upstreams.flatMap(each => (each === 'resolv.conf' ? ofHost : [each])));
    // While DHCP rewrites the file, it may name none for a moment.
    if (wanted.length === 0) return;
    const next = replaceUpstreams(current, wanted.slice(0, maxUpstreams));
    if (next.length === current.length && next.every((each, index) => each === current[index])) return;
    for (const { place } of next)
      if (!current.some(known => known.place === place)) {
        health.setDead(place, false);
        health.answered(place);
      }
    current = next;
    log.info({ upstreams: current.map(({ address }) => formatUpstream(address)) }, 'the upstreams of DNS');
    onChange(current);
  }

  function become({ address, place }: PlacedUpstream, isDead: boolean): void {
    // It may have been removed meanwhile, and its place given to another.
    if (health.isDead(place) === isDead || !current.some(each => each.address === address)) return;
    health.setDead(place, isDead);
    const others = current.filter(each => !health.isDead(each.place)).length;
    const upstream = formatUpstream(address);
    if (!isDead) log.info({ upstream }, 'the upstream answers again');
    else if (others > 0) log.warn({ upstream }, 'the upstream does not answer: it is left out until it does');
    else log.error({ upstream }, 'no upstream answers: names outside the zone are not resolved');
  }

  function look(upstream: PlacedUpstream): void {
    const { place } = upstream;
    if (probed.has(place)) return;
    const isDead = health.isDead(place);
    // It has answered a client's question.
    if (isDead && !health.isSuspect(place)) {
      become(upstream, false);
      return;
    }
    if (isDead ? looks % looksAProbe !== 0 : !health.isSuspect(place)) return;
    probed.add(place);
    probe(place, isAnswered => {
      probed.delete(place);
      become(upstream, !isAnswered);
    });
  }

  return {
    now: () => current,
    states: () =>
      current.map(({ address, place }) => ({
        address: formatUpstream(address),
        answering: !health.isDead(place),
      })),
    refresh,
    async run(stop) {
      while (!stop.aborted) {
        for (const upstream of current) look(upstream);
        looks += 1;
        if (looks % looksARead === 0) await refresh();
        await pause(lookEveryMs, stop);
      }
    },
  };
}

function distinct(addresses: readonly Address[]): Address[] {
  const byText = new Map(addresses.map(address => [formatUpstream(address), address]));
  return [...byText.values()];
}

/** Keeps the places and objects of upstreams that stay. */
function replaceUpstreams(before: readonly PlacedUpstream[], wanted: readonly Address[]): PlacedUpstream[] {
  const taken = new Set(before.map(({ place }) => place));
  const free = Array.from({ length: healthPlaces }, (_, place) => place).filter(place => !taken.has(place));
  return wanted.flatMap(address => {
    const text = formatUpstream(address);
    const known = before.find(each => formatUpstream(each.address) === text);
    if (known !== undefined) return [known];
    const place = free.shift();
    return place === undefined ? [] : [{ address, place }];
  });
}

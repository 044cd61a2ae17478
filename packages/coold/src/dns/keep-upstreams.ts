import { setTimeout as delay } from 'node:timers/promises';
import type { Address, Logger, Task } from '@coold/runtime';
import type { Forwarder } from './forwarder.ts';
import { readHostResolvers, type resolvConfPaths } from './host-resolvers.ts';
import { formatUpstream, maxUpstreams, type Upstream } from './upstream.ts';
import { healthPlaces, type PlacedUpstream, placeUpstreams, type UpstreamHealth } from './upstream-health.ts';

/** An upstream as stats tell it. */
export interface UpstreamState {
  /** With its port. */
  address: string;
  /** False: it was found dead, and is left out for as long as another is not. */
  answering: boolean;
}

export interface KeepUpstreamsOptions {
  /** As they are configured. */
  upstreams: readonly Upstream[];
  /** Our own addresses, which are no upstreams: they lead back here. */
  own: readonly string[];
  health: UpstreamHealth;
  /** Asks the one in that place alone. */
  probe: Forwarder['probe'];
  /** Called when there are others than before. */
  onChange(upstreams: readonly PlacedUpstream[]): void;
  log: Logger;
  resolvConf?: typeof resolvConfPaths;
  /** Between two looks at how they do, in ms. */
  lookEveryMs?: number;
}

export interface KeptUpstreams {
  /** Those that are asked now. */
  now(): readonly PlacedUpstream[];
  states(): UpstreamState[];
  /** Reads what the host's own are now. Never rejects. */
  refresh(): Promise<void>;
  run: Task;
}

/** How often the host's resolv.conf is read, by looks. */
const looksARead = 10;
/** How often a dead one is asked again, by looks. */
const looksAProbe = 4;

/**
 * Knows which upstreams there are and which of them are dead. One that left a question unanswered is asked for what every
 * resolver knows: so it is not blamed for a zone whose own servers are dead. If that is not answered either, it is left out
 * until it answers again. What threads say of them lies in memory that they share, so it is looked at from time to time.
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
    // While DHCP writes it anew, it may name none for a moment.
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
    // It may have left meanwhile, and the place may be another's.
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
    // Somebody's question was answered.
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
        await delay(lookEveryMs, undefined, { signal: stop }).catch(() => {});
      }
    },
  };
}

function distinct(addresses: readonly Address[]): Address[] {
  const byText = new Map(addresses.map(address => [formatUpstream(address), address]));
  return [...byText.values()];
}

/** Those that were there keep their places, and are the same objects. */
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

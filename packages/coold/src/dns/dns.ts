import { randomInt } from 'node:crypto';
import type { Logger, Task } from '@coold/runtime';
import { untilAborted } from '@coold/runtime/pause';
import type { Namespace } from '../discovery/namespaces.ts';
import { createQueryCounts, readCounts, total } from './counts.ts';
import { createForwarder } from './forward/forwarder.ts';
import { type KeepUpstreamsOptions, keepUpstreams, type UpstreamState } from './forward/keep-upstreams.ts';
import { createListenerAskings } from './forward/listener-asking.ts';
import { createForwardingMemory, createSharedForwarding } from './forward/shared-forwarding.ts';
import type { Upstream } from './forward/upstream.ts';
import { createHealthMemory, createUpstreamHealth } from './forward/upstream-health.ts';
import { hostListener, hostServer } from './host-route/host-server.ts';
import { chooseIo } from './listen/choose-io.ts';
import type { DnsIo } from './listen/dns-io.ts';
import { createHostAddresses } from './listen/host-addresses.ts';
import { type KeepListenerOptions, keepListener, type ListenerState } from './listen/keep-listener.ts';
import { createListenerGroup } from './listen/listener-group.ts';
import { createServeQuery } from './listen/serve-query.ts';
import { type DnsThreads, startThreads } from './listen/threads.ts';
import type { CountedDurations } from './shared-histogram.ts';
import { createAnswerPacket } from './zone/answer.ts';
import type { DnsDirectory } from './zone/directory.ts';
import { type Lookup, lookUp } from './zone/lookup.ts';
import { createZone } from './zone/zone.ts';
import { createZoneTimes, createZoneTimesMemory, readZoneTimes } from './zone-times.ts';

export interface DnsOptions {
  /** The zone's name. */
  zone: string;
  /** Asked for names outside the zone, in this order. */
  upstreams: readonly Upstream[];
  namespaces: readonly Namespace[];
  /** Whether this host's own resolver is answered too, on `hostServer`. Default: false */
  answersHost?: boolean;
  directory: DnsDirectory;
  log: Logger;
  /** The number of threads besides the main one that answer over UDP. Default: 1 */
  threads?: number;
  /** How these threads do UDP. Default: auto */
  io?: DnsIo;
  /** The port of DNS, except in tests. */
  port?: number;
  keepUpstreams?: Pick<KeepUpstreamsOptions, 'resolvConf' | 'lookEveryMs'>;
  listeners?: Pick<KeepListenerOptions, 'selfQueryEveryMs' | 'selfQueryTimeoutMs' | 'onChange' | 'arrivals'>;
}

/** What dns.stats reports. Counts are since the start. */
export interface DnsStats {
  queries: number;
  byRcode: ReadonlyMap<string, number>;
  /** By the namespace whose gateway was asked. */
  byNamespace: ReadonlyMap<string, number>;
  /** By namespace and code. */
  counts: readonly { namespace: string; rcode: string; queries: number }[];
  forwarded: number;
  /** Failures to forward: timeouts, no route, too many waiting. */
  forwardErrors: number;
  /** Answered from the cache. */
  cached: number;
  /** Answered from an expired cache entry, because no upstream answered. */
  stale: number;
  upstreams: readonly UpstreamState[];
  /** How long upstreams took to answer, or until they were given up. */
  upstreamDurations: CountedDurations;
  /** How long answers of the zone took, sampled. */
  zoneTimes: CountedDurations;
  directory: ReturnType<DnsDirectory['stats']>;
  listeners: readonly Readonly<ListenerState>[];
}

/** A network that was created for a namespace. */
export interface ServedNetwork {
  namespace: string;
  gateway: string;
}

export interface Dns {
  /** Ends in good order on its signal. */
  run: Task;
  /**
   * Sets the networks at whose gateways DNS is answered, in addition to those of the namespaces. Replaces the earlier
   * set.
   */
  serveNetworks(networks: readonly ServedNetwork[]): void;
  lookUp(name: string): Promise<Lookup>;
  stats(): DnsStats;
}

/** A namespace with this gateway has no DNS (docs/contract.md §6). */
const noGateway = '0.0.0.0';

/**
 * The cluster's DNS on this host: a listener per namespace gateway, using the directory and the upstreams.
 *
 * @throws BadValue when `io` is `ffi` and that cannot be used on this host
 */
export function createDns(options: DnsOptions): Dns {
  const { namespaces, directory, log, port = 53 } = options;
  const namespaceNames = namespaces.map(({ name }) => name);
  const zone = createZone({ name: options.zone, namespaces: namespaceNames, directory });
  const serial = randomInt(2 ** 32);
  const answerPacket = createAnswerPacket(zone, serial);
  const served = [
    ...namespaces.filter(({ gateway }) => gateway !== noGateway),
    ...((options.answersHost ?? false) ? [{ name: hostListener, gateway: hostServer }] : []),
  ].map(({ name, gateway }) => ({ name, gateway, counts: createQueryCounts() }));
  const counts = served.map(each => each.counts);
  const forwardingMemory = createForwardingMemory(served.length);
  const forwarding = createSharedForwarding(forwardingMemory);
  const zoneTimes = createZoneTimesMemory();
  const times = createZoneTimes(zoneTimes);
  const healthMemory = createHealthMemory();
  const health = createUpstreamHealth(healthMemory);
  const upstreams = keepUpstreams({
    upstreams: options.upstreams,
    health,
    log,
    ...(options.keepUpstreams ?? {}),
    // systemd-resolved lists the host's own server among its servers, and a coold that was killed may have left it
    // there.
    own: [...served.map(({ gateway }) => gateway), hostServer],
    probe: (place, done) => forwarder.probe(place, done),
    onChange(now) {
      forwarder.use(now);
      threads?.use(now);
    },
  });
  const forwarder = createForwarder({ upstreams: upstreams.now(), forwarding, health });
  const { io: wish = 'auto' } = options;
  // Without a gateway nothing uses UDP, and the log need not say how.
  const io = chooseIo(served.length === 0 && wish === 'auto' ? 'node' : wish, log);
  const linkOf = createHostAddresses();
  let threads: DnsThreads | undefined;
  const serves = createListenerAskings(counts, forwarder, forwarding).map(({ asking, counts: own }) =>
    createServeQuery(answerPacket, asking, forwarder, own, times),
  );
  const group = createListenerGroup(({ namespace, gateway }) => {
    const index = served.findIndex(({ name }) => name === namespace);
    const serve = serves[index];
    // docs/contract.md §6: neither a namespace without a gateway nor its networks have DNS.
    if (serve === undefined) return undefined;
    return keepListener({
      namespace,
      address: { host: gateway, port },
      zone: zone.wire,
      answerPacket,
      serve,
      udp() {
        if (threads === undefined) throw new Error('the threads that answer DNS have ended');
        return threads.listeners(index);
      },
      bindTcp: io.bindStream,
      linkOf,
      log,
      ...options.listeners,
      // The host's own questions pass no bridge.
      ...(gateway === hostServer ? { arrivals: undefined } : {}),
    });
  });
  const ofNamespaces = served.map(({ name: namespace, gateway }) => ({ namespace, gateway }));
  group.keep(ofNamespaces);
  directory.watch(() => threads?.changed());

  async function serve(stop: AbortSignal): Promise<void> {
    await upstreams.refresh();
    const setup = {
      zone: zone.wire,
      namespaces: namespaceNames,
      serial,
      counts,
      upstreams: upstreams.now(),
      forwarding: forwardingMemory,
      health: healthMemory,
      zoneTimes,
    };
    const started = startThreads({ count: options.threads ?? 1, setup, zone, io });
    threads = started;
    try {
      await Promise.race([Promise.all([group.run(stop), upstreams.run(stop)]), started.broken]);
    } finally {
      await started.close();
      threads = undefined;
      forwarder.close();
    }
  }

  return {
    async run(stop) {
      if (served.length === 0) {
        log.info('no namespace has a gateway: no DNS');
        return untilAborted(stop);
      }
      await serve(stop);
    },
    serveNetworks: networks => group.keep([...ofNamespaces, ...networks]),
    lookUp: name => lookUp(name, zone, forwarder),
    stats() {
      const counts = served.flatMap(({ name: namespace, counts: of }) =>
        readCounts(of).map(each => ({ namespace, ...each })),
      );
      const { forwarded, errors } = forwarder.stats();
      return {
        queries: counts.reduce((sum, { queries }) => sum + queries, 0),
        byRcode: total(counts, 'rcode'),
        byNamespace: total(counts, 'namespace'),
        counts,
        forwarded,
        forwardErrors: errors,
        ...forwarding.cacheStats(),
        upstreamDurations: forwarding.durations(),
        zoneTimes: readZoneTimes(zoneTimes),
        upstreams: served.length === 0 ? [] : upstreams.states(),
        directory: directory.stats(),
        listeners: group.states(),
      };
    },
  };
}

import { randomInt } from 'node:crypto';
import type { Logger, Task } from '@coold/runtime';
import type { Namespace } from '../discovery/namespaces.ts';
import { createAnswerPacket } from './answer.ts';
import { createQueryCounts, readCounts, total } from './counts.ts';
import type { DnsDirectory } from './directory.ts';
import { createForwarder } from './forwarder.ts';
import { createForwarding, createForwardingMemory } from './forwarding.ts';
import { type KeepListenerOptions, keepListener, type ListenerState } from './keep-listener.ts';
import { type KeepUpstreamsOptions, keepUpstreams, type UpstreamState } from './keep-upstreams.ts';
import { loadLibc } from './libc.ts';
import { createListenerAskings } from './listener-asking.ts';
import { createListenerGroup } from './listener-group.ts';
import { type Lookup, lookUp } from './lookup.ts';
import { createServeQuery } from './serve-query.ts';
import { type DnsThreads, startThreads } from './threads.ts';
import { listenUdp } from './udp-listener.ts';
import type { Upstream } from './upstream.ts';
import { createHealthMemory, createUpstreamHealth } from './upstream-health.ts';
import { createZone } from './zone.ts';

export interface DnsOptions {
  /** The zone's name. */
  zone: string;
  /** Asked for what is outside the zone, in this order. */
  upstreams: readonly Upstream[];
  namespaces: readonly Namespace[];
  directory: DnsDirectory;
  log: Logger;
  /** That answer over UDP, beside the main one. Default: 1 */
  threads?: number;
  /** Whether threads may be used, which call C; else, and where Node cannot, the main one answers. Default: true */
  mayCallC?: boolean;
  /** DNS's own, unless a test must not need it. */
  port?: number;
  keepUpstreams?: Pick<KeepUpstreamsOptions, 'resolvConf' | 'lookEveryMs'>;
  listeners?: Pick<KeepListenerOptions, 'selfQueryEveryMs' | 'selfQueryTimeoutMs' | 'onChange' | 'arrivals'>;
}

/** What dns.stats tells; counts since the start. */
export interface DnsStats {
  queries: number;
  byRcode: ReadonlyMap<string, number>;
  /** By the namespace whose gateway was asked. */
  byNamespace: ReadonlyMap<string, number>;
  /** The same, by both. */
  counts: readonly { namespace: string; rcode: string; queries: number }[];
  forwarded: number;
  /** Of those forwarded or refused to be: timeouts, no way there, too many waiting. */
  forwardErrors: number;
  /** Answered from the cache, and not forwarded. */
  cached: number;
  /** Answered by what had run out in the cache, since no upstream answered. */
  stale: number;
  upstreams: readonly UpstreamState[];
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
   * Answers at the gateways of these networks too, beside those of the namespaces, and no longer at those of networks that
   * it was told before and that are not among them.
   */
  serveNetworks(networks: readonly ServedNetwork[]): void;
  lookUp(name: string): Promise<Lookup>;
  stats(): DnsStats;
}

/** No DNS for a namespace with this gateway (docs/contract.md §6). */
const noGateway = '0.0.0.0';

/** The cluster's DNS on this host: a listener for each namespace's gateway, over the directory and the upstreams. */
export function createDns(options: DnsOptions): Dns {
  const { namespaces, directory, log, port = 53 } = options;
  const namespaceNames = namespaces.map(({ name }) => name);
  const zone = createZone({ name: options.zone, namespaces: namespaceNames, directory });
  const serial = randomInt(2 ** 32);
  const answerPacket = createAnswerPacket(zone, serial);
  const served = namespaces
    .filter(({ gateway }) => gateway !== noGateway)
    .map(({ name, gateway }) => ({ name, gateway, counts: createQueryCounts() }));
  const counts = served.map(each => each.counts);
  const forwardingMemory = createForwardingMemory(served.length);
  const forwarding = createForwarding(forwardingMemory);
  const healthMemory = createHealthMemory();
  const health = createUpstreamHealth(healthMemory);
  const upstreams = keepUpstreams({
    ...{ upstreams: options.upstreams, health, log },
    ...(options.keepUpstreams ?? {}),
    own: served.map(({ gateway }) => gateway),
    probe: (place, done) => forwarder.probe(place, done),
    onChange(now) {
      forwarder.use(now);
      threads?.use(now);
    },
  });
  const forwarder = createForwarder({ upstreams: upstreams.now(), forwarding, health });
  const libc = (options.mayCallC ?? true) && served.length > 0 ? loadLibc() : undefined;
  let threads: DnsThreads | undefined;
  const serves = createListenerAskings(counts, forwarder, forwarding).map(({ asking, counts: own }) =>
    createServeQuery(answerPacket, asking, forwarder.isOwn, own),
  );
  const group = createListenerGroup(({ namespace, gateway }) => {
    const index = served.findIndex(({ name }) => name === namespace);
    const serve = serves[index];
    // docs/contract.md §6: a namespace without a gateway has no DNS, so neither have its networks.
    if (serve === undefined) return undefined;
    return keepListener({
      namespace,
      address: { host: gateway, port },
      zone: zone.wire,
      answerPacket,
      serve,
      udp: () => threads?.listeners(index) ?? [at => listenUdp(at, serve)],
      log,
      ...options.listeners,
    });
  });
  const ofNamespaces = served.map(({ name: namespace, gateway }) => ({ namespace, gateway }));
  group.keep(ofNamespaces);
  directory.watch(() => threads?.changed());

  async function serve(stop: AbortSignal): Promise<void> {
    await upstreams.refresh();
    const setup = {
      ...{ zone: zone.wire, namespaces: namespaceNames, serial, counts },
      ...{ upstreams: upstreams.now(), forwarding: forwardingMemory, health: healthMemory },
    };
    if (libc === undefined)
      log.info('this Node cannot call the C library: the main thread alone answers DNS, and bears less');
    else threads = startThreads({ count: options.threads ?? 1, setup, zone, libc });
    const running = Promise.all([group.run(stop), upstreams.run(stop)]);
    try {
      await (threads === undefined ? running : Promise.race([running, threads.broken]));
    } finally {
      await threads?.close();
      threads = undefined;
      forwarder.close();
    }
  }

  return {
    async run(stop) {
      if (served.length === 0) {
        log.info('no namespace has a gateway: no DNS');
        await new Promise<void>(resolve => {
          if (stop.aborted) resolve();
          else stop.addEventListener('abort', () => resolve(), { once: true });
        });
        return;
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
        upstreams: served.length === 0 ? [] : upstreams.states(),
        directory: directory.stats(),
        listeners: group.states(),
      };
    },
  };
}

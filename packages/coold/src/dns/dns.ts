import { randomInt } from 'node:crypto';
import type { Logger, Task } from '@coold/runtime';
import { untilAborted } from '@coold/runtime/pause';
import type { UdpIo } from '@coold/udp-io';
import type { Namespace } from '../discovery/namespaces.ts';
import { createQueryCounts, type QueryCounts, readCounts, total } from './counts.ts';
import { createForwarder, type Forwarder } from './forward/forwarder.ts';
import {
  type KeepUpstreamsOptions,
  type KeptUpstreams,
  keepUpstreams,
  type UpstreamState,
} from './forward/keep-upstreams.ts';
import { createListenerAskings } from './forward/listener-asking.ts';
import {
  createForwardingMemory,
  createSharedForwarding,
  type ForwardingMemory,
  type SharedForwarding,
} from './forward/shared-forwarding.ts';
import type { Upstream } from './forward/upstream.ts';
import { createHealthMemory, createUpstreamHealth, type UpstreamHealth } from './forward/upstream-health.ts';
import { hostListener, hostServer } from './host-route/host-server.ts';
import { chooseIo } from './listen/choose-io.ts';
import type { DnsIo } from './listen/dns-io.ts';
import { createHostAddresses } from './listen/host-addresses.ts';
import { type KeepListenerOptions, keepListener, type ListenerState } from './listen/keep-listener.ts';
import { createListenerGroup, type ListenerGroup } from './listen/listener-group.ts';
import { createServeQuery } from './listen/serve-query.ts';
import { type DnsThreads, startThreads } from './listen/threads.ts';
import type { CountedDurations } from './shared-histogram.ts';
import { type AnswerPacket, createAnswerPacket } from './zone/answer.ts';
import type { DnsDirectory } from './zone/directory.ts';
import { type Lookup, lookUp } from './zone/lookup.ts';
import { createZone, type Zone } from './zone/zone.ts';
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
  return new ClusterDns(options);
}

/** A namespace with a gateway, or this host's own resolver. */
interface Served extends ServedNetwork {
  counts: QueryCounts;
}

class ClusterDns implements Dns {
  readonly #options: DnsOptions;
  readonly #zone: Zone;
  readonly #serial = randomInt(2 ** 32);
  readonly #answerPacket: AnswerPacket;
  readonly #served: readonly Served[];
  readonly #io: UdpIo;
  readonly #forwardingMemory: ForwardingMemory;
  readonly #forwarding: SharedForwarding;
  readonly #healthMemory = createHealthMemory();
  readonly #zoneTimes = createZoneTimesMemory();
  readonly #upstreams: KeptUpstreams;
  readonly #forwarder: Forwarder;
  readonly #group: ListenerGroup;
  /** Undefined: they do not run. */
  #threads: DnsThreads | undefined;

  constructor(options: DnsOptions) {
    const { namespaces, directory, io = 'auto' } = options;
    this.#options = options;
    this.#zone = createZone({
      name: options.zone,
      namespaces: namespaces.map(({ name }) => name),
      directory,
    });
    this.#answerPacket = createAnswerPacket(this.#zone, this.#serial);
    this.#served = [
      ...namespaces.filter(({ gateway }) => gateway !== noGateway),
      ...((options.answersHost ?? false) ? [{ name: hostListener, gateway: hostServer }] : []),
    ].map(({ name, gateway }) => ({ namespace: name, gateway, counts: createQueryCounts() }));
    // Without a gateway nothing uses UDP, and the log need not say how.
    this.#io = chooseIo(this.#served.length === 0 && io === 'auto' ? 'node' : io, options.log);
    this.#forwardingMemory = createForwardingMemory(this.#served.length);
    this.#forwarding = createSharedForwarding(this.#forwardingMemory);
    const health = createUpstreamHealth(this.#healthMemory);
    this.#upstreams = this.#keepUpstreams(health);
    const upstreams = this.#upstreams.now();
    this.#forwarder = createForwarder({ upstreams, forwarding: this.#forwarding, health });
    this.#group = this.#createListeners();
    this.#group.keep(this.#served);
    directory.watch(() => this.#threads?.changed());
  }

  async run(stop: AbortSignal): Promise<void> {
    if (this.#served.length === 0) {
      this.#options.log.info('no namespace has a gateway: no DNS');
      return untilAborted(stop);
    }
    await this.#upstreams.refresh();
    const threads = this.#startThreads();
    this.#threads = threads;
    try {
      await Promise.race([Promise.all([this.#group.run(stop), this.#upstreams.run(stop)]), threads.broken]);
    } finally {
      await threads.close();
      this.#threads = undefined;
      this.#forwarder.close();
    }
  }

  serveNetworks(networks: readonly ServedNetwork[]): void {
    this.#group.keep([...this.#served, ...networks]);
  }

  lookUp(name: string): Promise<Lookup> {
    return lookUp(name, this.#zone, this.#forwarder);
  }

  stats(): DnsStats {
    const counts = this.#served.flatMap(({ namespace, counts: of }) =>
      readCounts(of).map(each => ({ namespace, ...each })),
    );
    const { forwarded, errors } = this.#forwarder.stats();
    return {
      queries: counts.reduce((sum, { queries }) => sum + queries, 0),
      byRcode: total(counts, 'rcode'),
      byNamespace: total(counts, 'namespace'),
      counts,
      forwarded,
      forwardErrors: errors,
      ...this.#forwarding.cacheStats(),
      upstreamDurations: this.#forwarding.durations(),
      zoneTimes: readZoneTimes(this.#zoneTimes),
      upstreams: this.#served.length === 0 ? [] : this.#upstreams.states(),
      directory: this.#options.directory.stats(),
      listeners: this.#group.states(),
    };
  }

  #keepUpstreams(health: UpstreamHealth): KeptUpstreams {
    const { upstreams, log } = this.#options;
    return keepUpstreams({
      upstreams,
      health,
      log,
      ...(this.#options.keepUpstreams ?? {}),
      // systemd-resolved lists the host's own server among its servers, and a coold that was killed may have left it
      // there.
      own: [...this.#served.map(({ gateway }) => gateway), hostServer],
      probe: (place, done) => this.#forwarder.probe(place, done),
      onChange: now => {
        this.#forwarder.use(now);
        this.#threads?.use(now);
      },
    });
  }

  #createListeners(): ListenerGroup {
    const { port = 53, log, listeners } = this.#options;
    const linkOf = createHostAddresses();
    const times = createZoneTimes(this.#zoneTimes);
    const counts = this.#served.map(each => each.counts);
    const serves = createListenerAskings(counts, this.#forwarder, this.#forwarding).map(
      ({ asking, counts: own }) => createServeQuery(this.#answerPacket, asking, this.#forwarder, own, times),
    );
    return createListenerGroup(({ namespace, gateway }) => {
      const index = this.#served.findIndex(each => each.namespace === namespace);
      const serve = serves[index];
      // docs/contract.md §6: neither a namespace without a gateway nor its networks have DNS.
      if (serve === undefined) return undefined;
      return keepListener({
        namespace,
        address: { host: gateway, port },
        zone: this.#zone.wire,
        answerPacket: this.#answerPacket,
        serve,
        udp: () => {
          if (this.#threads === undefined) throw new Error('the threads that answer DNS have ended');
          return this.#threads.listeners(index);
        },
        bindTcp: this.#io.bindStream,
        linkOf,
        log,
        ...listeners,
        // The host's own questions pass no bridge.
        ...(gateway === hostServer ? { arrivals: undefined } : {}),
      });
    });
  }

  #startThreads(): DnsThreads {
    const { namespaces, threads = 1 } = this.#options;
    const setup = {
      zone: this.#zone.wire,
      namespaces: namespaces.map(({ name }) => name),
      serial: this.#serial,
      counts: this.#served.map(each => each.counts),
      upstreams: this.#upstreams.now(),
      forwarding: this.#forwardingMemory,
      health: this.#healthMemory,
      zoneTimes: this.#zoneTimes,
    };
    return startThreads({ count: threads, setup, zone: this.#zone, io: this.#io });
  }
}

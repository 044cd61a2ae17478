import { createCorrosion } from '@coold/corrosion';
import type { Verb } from '@coold/proto';
import {
  authorityLife,
  certificateLife,
  errorMessage,
  followFiles,
  type Hangups,
  type Life,
  type Logger,
  pause,
  type UnreadFilesList,
} from '@coold/runtime';
import { createBuildCalls } from '../builds/build-calls.ts';
import type { Builds } from '../builds/builds.ts';
import { listHost } from '../builds/host-listing.ts';
import type { SendDispatch } from '../dispatch/send-to-host.ts';
import type { HostLocator } from '../hosts/host-locator.ts';
import type { Hosts, HostWatch } from '../hosts/hosts.ts';
import type { Streams } from '../streams/streams.ts';
import { type BuildForwardOutcome, createRemoteBuilds } from './builds/remote-builds.ts';
import { serveBuild } from './builds/serve-build.ts';
import { createFleet } from './fleet/fleet.ts';
import { serveHosts } from './fleet/serve-hosts.ts';
import { createForward, type RecordForward } from './forward/forward.ts';
import { createRemoteStream } from './forward/remote-stream.ts';
import { serveForward, type TakenOutcome } from './forward/serve-forward.ts';
import { serveStream } from './forward/serve-stream.ts';
import { type Credentials, readCredentials } from './link/credentials.ts';
import { formatAddress } from './link/peer-address.ts';
import { createPeerLinks, type PeerLinks } from './link/peer-links.ts';
import { listenForPeers, type PeerListener } from './link/peer-listener.ts';
import { createSenderCheck } from './link/peer-sender.ts';
import { createMembership, type Membership } from './membership/membership.ts';
import type { OtherBroker } from './membership/other-brokers.ts';
import type { PeerSettings } from './peer-options.ts';
import { followRevocations } from './revocations/follow-revocations.ts';
import { serveRevocations } from './revocations/serve-revocations.ts';
import type { SharedRevocations } from './revocations/shared-list.ts';
import { followRoutes, type RouteFollower } from './routes/follow-routes.ts';
import { createRouteTable, type RouteTable } from './routes/route-table.ts';
import { createRouteWriter, type RouteWriter } from './routes/route-writer.ts';

/** What joins this broker with others. A broker that is alone has none of it. */
export interface Peers {
  /** Must be told of every host that connects or leaves, so that the other brokers find it here. */
  watch: HostWatch;
  locator: HostLocator;
  stats(): PeerStats;
  /**
   * Serves what other brokers ask, and follows and writes the tables in Corrosion.
   *
   * @returns `running`, which resolves after the signal aborts, and rejects only for what no retry can mend
   * @throws UnusableError when the address cannot be bound
   */
  serve(options: ServePeersOptions): Promise<{ running: Promise<void> }>;
  /** From now on others neither find hosts here nor connect. What they have forwarded is still answered. Never rejects. */
  leave(timeoutMs: number): Promise<void>;
  /** Waits for at most `graceMs` until what others have forwarded is answered, and then cuts every connection. */
  close(graceMs: number): Promise<void>;
}

export interface ServePeersOptions {
  /** Sends to the hosts of this broker alone. */
  sendDispatch: SendDispatch;
  hosts: Pick<Hosts, 'get' | 'list'>;
  builds: Builds;
  streams: Streams;
  /** undefined: this broker shares none. */
  revocations: SharedRevocations | undefined;
  verbs: ReadonlyMap<string, Verb>;
  /** The most calls at once on one connection. */
  maxCalls: number;
  /** The most bytes of a command. */
  maxRequestBytes: number;
}

export interface PeerStats {
  /** Counts hosts by whose route is the newest. */
  routes(): ReturnType<RouteTable['counts']>;
  /** Returns the other brokers that are known, those that are dead first. */
  others(): OtherBroker[];
  /** Returns how long ago this broker's heartbeat was written, in ms. undefined: the schema has no such table. */
  heartbeatAgeMs(): number | undefined;
  /** After how long without a heartbeat a broker is dead, in ms. */
  ttlMs: number;
  /** How many calls about builds of other brokers ended in which way, since the start. */
  builds: ReadonlyMap<BuildForwardOutcome, number>;
  /** Whether Corrosion tells every change of routes as it happens. */
  followed: boolean;
  /** How many of this broker's rows have yet to be written. */
  unwritten: number;
  /** How many writes of rows have failed since the start. */
  writeFailures: number;
  /** How many brokers this one has a link to. */
  links: number;
  /** Returns the life of the certificate that other brokers are shown. */
  certificate(): Life;
  /** Returns the life of the CA of the other brokers' certificates. Of several, the one that ends last. */
  authority(): Life;
  /** What became of what others have forwarded here, since the start. */
  taken: ReadonlyMap<TakenOutcome, number>;
}

export interface PeersOptions {
  settings: PeerSettings;
  /** How long a call at another broker may take that no verb has another deadline for, in ms. */
  timeoutMs: number;
  record: RecordForward;
  /** Told of files that cannot be read again. */
  unread?: Pick<UnreadFilesList, 'note'> | undefined;
  hangups: Hangups;
  log: Logger;
  signal: AbortSignal;
}

/** The most rows of all brokers that are kept: several times what one broker holds hosts. */
const maxRoutes = 200_000;
/** What a command takes on its way beside its own bytes. */
const envelopeBytes = 64 * 1024;

/** @throws UnusableError naming the variable when certificate, key or CA cannot be used */
export async function createPeers(options: PeersOptions): Promise<Peers> {
  const { settings, unread, hangups, log, signal } = options;
  let peers: JoinedPeers | undefined;
  const credentials = await followFiles({
    what: 'certificates of the brokers',
    paths: Object.values(settings.tls),
    read: () => readCredentials(settings),
    use: next => peers?.useCredentials(next),
    unread,
    hangups,
    log,
    signal,
  });
  peers = new JoinedPeers(options, credentials);
  return peers;
}

class JoinedPeers implements Peers {
  readonly watch: HostWatch;
  readonly locator: HostLocator;
  readonly #options: PeersOptions;
  /** Where the others dial this broker, `host:port`. */
  readonly #address: string;
  readonly #links: PeerLinks;
  readonly #membership: Membership;
  readonly #table: RouteTable;
  readonly #writer: RouteWriter;
  readonly #follower: RouteFollower;
  readonly #taken = new Map<TakenOutcome, number>();
  readonly #builds = new Map<BuildForwardOutcome, number>();
  /** Aborts when this broker begins to leave: calls that wait for news of other brokers are answered. */
  readonly #leaving = new AbortController();
  /** Aborts when this broker's rows are gone: the tables are no longer followed or written. */
  readonly #left = new AbortController();
  #credentials: Credentials;
  /** Present once this broker serves others. */
  #serving: { options: ServePeersOptions; listener: PeerListener } | undefined;
  /** Resolves when what others have forwarded is answered. Present once this broker leaves. */
  #answered: Promise<void> | undefined;

  constructor(options: PeersOptions, credentials: Credentials) {
    const { settings, record, timeoutMs, log } = options;
    const { brokerId, connectTimeoutMs, ttlMs } = settings;
    const routesLog = log.child('routes');
    const corrosion = createCorrosion(settings.corrosion);
    const address = formatAddress(settings.address);
    this.#options = options;
    this.#credentials = credentials;
    this.#address = address;
    this.#links = createPeerLinks({ credentials: () => this.#credentials, connectTimeoutMs, log });
    this.#membership = createMembership({
      corrosion,
      brokerId,
      address,
      ttlMs,
      routed: { brokers: () => this.#table.brokers(), broker: id => this.#table.broker(id) },
      onRemoved: () => this.#writer.doubt(),
      log: log.child('peers'),
      tableLog: routesLog,
    });
    this.#table = createRouteTable(brokerId, maxRoutes, id => this.#membership.isDead(id));
    this.#writer = createRouteWriter({ corrosion, table: this.#table, brokerId, address, log: routesLog });
    this.#follower = followRoutes(corrosion, this.#table, {
      log: routesLog,
      now: Date.now,
      onLoaded: this.#writer.loaded,
      onRegained: this.#writer.doubt,
    });
    this.watch = {
      added: ({ hostId, connectedAt }) => this.#writer.connected(hostId, connectedAt.getTime()),
      removed: this.#writer.disconnected,
    };
    const links = this.#links;
    const { locate } = this.#table;
    this.locator = {
      locate,
      forward: createForward({ brokerId, links, record }),
      carrier: createRemoteStream({ brokerId, links, streams: () => this.#ownStreams() }),
      builds: createRemoteBuilds({
        brokerId,
        links,
        locate,
        timeoutMs,
        others: () => this.#membership.others().filter(({ isDead }) => !isDead),
        count: outcome => countOne(this.#builds, outcome),
      }),
      fleet: createFleet({
        brokerId,
        address,
        list: () => this.#listOwnHosts(),
        others: () => this.#membership.others(),
        links,
      }),
    };
  }

  /** Shows other brokers other credentials from now on. */
  useCredentials(next: Credentials): void {
    this.#credentials = next;
    this.#serving?.listener.renew(next);
    this.#links.renew();
  }

  stats(): PeerStats {
    const { behind, failures } = this.#writer.stats();
    return {
      routes: this.#table.counts,
      followed: this.#follower.isConnected,
      unwritten: behind,
      writeFailures: failures,
      others: () => this.#membership.others(),
      ttlMs: this.#options.settings.ttlMs,
      builds: this.#builds,
      heartbeatAgeMs: () => this.#membership.heartbeatAgeMs(),
      links: this.#links.count(),
      certificate: () => certificateLife(this.#credentials.cert),
      authority: () => authorityLife(this.#credentials.ca),
      taken: this.#taken,
    };
  }

  async serve(options: ServePeersOptions): Promise<{ running: Promise<void> }> {
    const { settings, log, signal } = this.#options;
    const listener = await this.#listen(options);
    this.#serving = { options, listener };
    log.info(
      { address: listener.address, broker_id: settings.brokerId, dialled_at: this.#address },
      'listening for other brokers',
    );
    const until = AbortSignal.any([signal, this.#left.signal]);
    const tasks = [
      this.#follower.run(until),
      this.#writer.run(until),
      this.#membership.run(until),
      this.#followRevocations(options.revocations, until),
    ];
    return { running: Promise.all(tasks).then(() => {}) };
  }

  async leave(timeoutMs: number): Promise<void> {
    this.#membership.leave();
    this.#leaving.abort();
    this.#answered = this.#serving?.listener.refuseNew();
    this.locator.builds.stop();
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      // The routes first: those of a broker without a heartbeat count for ever.
      await this.#writer.withdraw(signal);
      await this.#membership.withdraw(signal);
    } catch (error) {
      const line =
        "routes of this broker could not be taken away; until others take it for dead, its hosts' dispatches are 503 there";
      this.#options.log.warn({ why: errorMessage(error) }, line);
    }
    this.#left.abort();
  }

  async close(graceMs: number): Promise<void> {
    this.#left.abort();
    const timer = new AbortController();
    await Promise.race([this.#answered, pause(graceMs, timer.signal)]);
    timer.abort();
    this.#serving?.listener.close();
    this.#links.close();
  }

  #listen(options: ServePeersOptions): Promise<PeerListener> {
    const { settings, log } = this.#options;
    const { sendDispatch, hosts, builds, streams, revocations, verbs, maxCalls, maxRequestBytes } = options;
    const peersLog = log.child('peers');
    const common = {
      brokerId: settings.brokerId,
      checkSender: createSenderCheck(this.#membership.senders),
      verbs,
      log: peersLog,
      count: (outcome: TakenOutcome) => countOne(this.#taken, outcome),
    };
    const calls = createBuildCalls({ builds, hosts, log: log.child('lane') });
    return listenForPeers({
      bind: settings.bind,
      credentials: this.#credentials,
      handlers: {
        forward: serveForward({ ...common, sendDispatch }),
        stream: serveStream({ ...common, hosts, streams }),
        build: serveBuild({ ...common, calls, builds, hosts }),
        hosts: serveHosts({ ...common, list: () => listHosts(options) }),
        revocations:
          revocations &&
          serveRevocations({
            ...common,
            shared: revocations,
            heard: peer => this.#membership.heard(peer),
            stopped: this.#leaving.signal,
          }),
      },
      maxCalls,
      maxRequestBytes: maxRequestBytes + envelopeBytes,
      log: peersLog,
    });
  }

  async #followRevocations(shared: SharedRevocations | undefined, until: AbortSignal): Promise<void> {
    if (shared === undefined) return;
    const { settings, log } = this.#options;
    const follow = followRevocations({
      brokerId: settings.brokerId,
      address: this.#address,
      links: this.#links,
      shared,
      peers: () => this.#membership.toHear(),
      log: log.child('peers'),
    });
    await follow(AbortSignal.any([until, this.#leaving.signal]));
  }

  #listOwnHosts() {
    return this.#serving === undefined ? [] : listHosts(this.#serving.options);
  }

  #ownStreams(): Streams {
    if (this.#serving === undefined) throw new Error('a stream of a broker that does not serve yet');
    return this.#serving.options.streams;
  }
}

function listHosts({ hosts, builds }: ServePeersOptions) {
  return hosts.list().map(stream => listHost(stream, builds.load(stream.hostId)));
}

function countOne<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

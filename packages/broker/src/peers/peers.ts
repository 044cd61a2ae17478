import { X509Certificate } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createCorrosion } from '@coold/corrosion';
import type { Verb } from '@coold/proto';
import { followFiles, type Hangups, type Logger } from '@coold/runtime';
import type { Elsewhere } from '../elsewhere.ts';
import type { Hosts, HostWatch } from '../hosts.ts';
import type { Park } from '../park.ts';
import type { Streams } from '../streams.ts';
import { readCredentials } from './credentials.ts';
import { followRoutes } from './follow-routes.ts';
import { createForward, type RecordForward } from './forward.ts';
import { formatAddress } from './peer-address.ts';
import { createPeerLinks } from './peer-links.ts';
import { listenForPeers, type PeerListener } from './peer-listener.ts';
import type { PeerSettings } from './peer-options.ts';
import { relayStreamed } from './relay-streamed.ts';
import { createRouteTable } from './route-table.ts';
import { createRouteWriter } from './route-writer.ts';
import { createStreamAway } from './stream-away.ts';
import { type TakenOutcome, takeForwarded } from './take-forwarded.ts';

/** A broker's place among others. */
export interface Peers {
  /** Told of every host, so that the others find it here. */
  watch: HostWatch;
  elsewhere: Elsewhere;
  stats(): PeerStats;
  /**
   * Takes in what others forward, and follows and writes the routes until the signal aborts. Rejects only for what no
   * retry can mend.
   */
  serve(options: ServePeersOptions): Promise<{ running: Promise<void> }>;
  /** From now on others neither find hosts here nor connect; what they have forwarded is answered. Never rejects. */
  leave(timeoutMs: number): Promise<void>;
  /** Gives what others have forwarded so long, in ms, to be answered; then cuts every connection. */
  close(graceMs: number): Promise<void>;
}

export interface ServePeersOptions {
  park: Park;
  hosts: Pick<Hosts, 'get'>;
  streams: Streams;
  verbs: ReadonlyMap<string, Verb>;
  maxCalls: number;
  maxRequestBytes: number;
}

export interface PeerStats {
  /** Hosts with a route, by whose is the newest; counted when it is called. */
  routes(): { here: number; elsewhere: number };
  /** Corrosion tells every change of routes as it happens. */
  followed: boolean;
  /** Own rows that are not written yet, and writes that failed since the start. */
  unwritten: number;
  writeFailures: number;
  /** Brokers that this one has a link to. */
  links: number;
  /** When the certificate ends that they are shown. */
  certificateEnds(): Date;
  /** What others have forwarded here, by what became of it; since the start. */
  taken: ReadonlyMap<TakenOutcome, number>;
}

export interface PeersOptions {
  settings: PeerSettings;
  record: RecordForward;
  hangups: Hangups;
  log: Logger;
  signal: AbortSignal;
}

/** Rows of all brokers: some times what one broker holds hosts. */
const maxRoutes = 200_000;
/** Around a command on its way. */
const envelopeBytes = 64 * 1024;

/** @throws Error naming the variable when certificate, key or CA cannot be used */
export async function createPeers({ settings, record, hangups, log, signal }: PeersOptions): Promise<Peers> {
  const { brokerId, bind, tls, connectTimeoutMs } = settings;
  let credentials = await followFiles({
    what: 'certificates of the brokers',
    paths: Object.values(tls),
    read: () => readCredentials(settings),
    use(next) {
      credentials = next;
      listener?.renew(next);
      links.renew();
    },
    ...{ hangups, log, signal },
  });
  const corrosion = createCorrosion(settings.corrosion);
  const table = createRouteTable(brokerId, maxRoutes);
  const address = formatAddress(settings.address);
  const writer = createRouteWriter({ corrosion, table, brokerId, address, log: log.child('routes') });
  const follower = followRoutes(corrosion, table, {
    log: log.child('routes'),
    now: Date.now,
    onLoaded: writer.loaded,
  });
  const links = createPeerLinks({ credentials: () => credentials, connectTimeoutMs, log });
  const taken = new Map<TakenOutcome, number>();
  const stopped = new AbortController();
  const until = AbortSignal.any([signal, stopped.signal]);
  let listener: PeerListener | undefined;
  let streams: Streams | undefined;
  let ended: Promise<void> | undefined;

  const ownStreams = () => {
    if (streams === undefined) throw new Error('a stream of a broker that does not serve yet');
    return streams;
  };

  return {
    watch: {
      added: ({ hostId, connectedAt }) => writer.connected(hostId, connectedAt.getTime()),
      removed: writer.disconnected,
    },
    elsewhere: {
      where: table.where,
      forward: createForward({ brokerId, links, record }),
      carrier: createStreamAway({ brokerId, links, streams: ownStreams }),
    },
    stats() {
      const { behind, failures } = writer.stats();
      return {
        routes: table.counts,
        followed: follower.isConnected,
        unwritten: behind,
        writeFailures: failures,
        links: links.count(),
        certificateEnds: () => new X509Certificate(credentials.cert).validToDate,
        taken,
      };
    },
    async serve({ park, hosts, streams: own, verbs, maxCalls, maxRequestBytes }) {
      streams = own;
      const taking = { brokerId, verbs, log: log.child('peers') };
      const count = (outcome: TakenOutcome) => void taken.set(outcome, (taken.get(outcome) ?? 0) + 1);
      listener = await listenForPeers({
        ...{ bind, credentials, maxCalls, log: log.child('peers') },
        take: takeForwarded({ ...taking, park, count }),
        relay: relayStreamed({ ...taking, hosts, streams: own, count }),
        maxRequestBytes: maxRequestBytes + envelopeBytes,
      });
      log.info(
        { address: listener.address, broker_id: brokerId, dialled_at: address },
        'listening for other brokers',
      );
      return { running: Promise.all([follower.run(until), writer.run(until)]).then(() => {}) };
    },
    async leave(timeoutMs) {
      ended = listener?.refuseNew();
      try {
        await writer.withdraw(AbortSignal.timeout(timeoutMs));
      } catch (error) {
        const line =
          "routes of this broker could not be taken away; until it is back, its hosts' dispatches are 503 elsewhere";
        log.warn({ why: (error as Error).message }, line);
      }
      stopped.abort();
    },
    async close(graceMs) {
      stopped.abort();
      const timer = new AbortController();
      await Promise.race([ended, delay(graceMs, undefined, { signal: timer.signal }).catch(() => {})]);
      timer.abort();
      listener?.close();
      links.close();
    },
  };
}

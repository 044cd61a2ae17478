import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { bindByNode } from '@coold/udp-io';
import { createQueryCounts } from '../../dns/counts.ts';
import type { Asking } from '../../dns/forward/asking.ts';
import { createForwarder } from '../../dns/forward/forwarder.ts';
import { readResolvers } from '../../dns/forward/host-resolvers.ts';
import type { Upstream } from '../../dns/forward/upstream.ts';
import { placeUpstreams } from '../../dns/forward/upstream-health.ts';
import { createServeQuery } from '../../dns/listen/serve-query.ts';
import { listenTcp } from '../../dns/listen/tcp-listener.ts';
import { listenUdp } from '../../dns/listen/udp-listener.ts';
import { type AnswerPacket, createAnswerPacket, encodeFailure } from '../../dns/zone/answer.ts';
import { isInZone, wireName } from '../../dns/zone/names.ts';
import { privateReverseZones } from './not-public.ts';

/** The name server of builds, which forwards to the resolver of this host. */
export interface NameServer {
  /** The port on the gateway, for UDP and TCP. */
  port: number;
  /** Aborts when the server fails, with the error as its reason. */
  failed: AbortSignal;
  /** Reads the host's resolv.conf again, which DHCP and operators may have changed. Never rejects. */
  refresh(): Promise<void>;
  close(): void;
}

export interface NameServerOptions {
  /** The address of this host to listen on. */
  gateway: string;
  /** The zone of the mesh. Every name in it is answered with NXDOMAIN. */
  zone: string;
  /** The resolvers to ask when the host's resolv.conf names none. */
  upstreams: readonly Upstream[];
  /** The path of the host's resolv.conf. Default: /etc/resolv.conf */
  resolvConf?: string;
}

/**
 * Starts the name server of builds. Builds cannot reach the resolver of this host: it may be 127.0.0.53 or 127.0.0.1, and a
 * resolver on the local network is a neighbour that they must not reach. The server listens on a free port, since another
 * program may have port 53; the packet filter redirects queries to it.
 *
 * @throws Error with the system's code when it cannot listen
 */
export async function startNameServer(options: NameServerOptions): Promise<NameServer> {
  const { gateway, zone, resolvConf = '/etc/resolv.conf' } = options;
  const configured = options.upstreams.filter(each => each !== 'resolv.conf');
  const wire = wireName(zone);
  const reverse = privateReverseZones.map(wireName);
  const forwarder = createForwarder({ upstreams: [] });
  let text: string | undefined;

  async function refresh(): Promise<void> {
    const current = await readFile(resolvConf, 'utf8').catch(() => '');
    if (current === text) return;
    text = current;
    const named = readResolvers(current, gateway);
    forwarder.use(placeUpstreams(named.length === 0 ? configured : named));
  }
  await refresh();

  const answerZone = createAnswerPacket(
    { wire, find: name => (isInZone(name, wire) ? { kind: 'missing' } : { kind: 'outside' }) },
    randomInt(2 ** 32),
  );
  const answerPacket: AnswerPacket = (packet, transport) => {
    const answer = answerZone(packet, transport);
    if (answer.kind !== 'forward' || !reverse.some(each => isInZone(answer.query.name, each))) return answer;
    const rcode = 'NXDOMAIN';
    return { kind: 'reply', packet: encodeFailure(answer.query, rcode), rcode, isSelfQuery: false };
  };
  const asking: Asking = {
    ask(query, transport, _client, reply) {
      const packet = Buffer.from(query.packet);
      forwarder.ask(packet, transport, answer =>
        reply(answer ?? encodeFailure({ ...query, packet }, 'SERVFAIL')),
      );
    },
  };
  const serve = createServeQuery(answerPacket, asking, forwarder, createQueryCounts());

  const tcp = await listenTcp({ host: gateway, port: 0 }, serve);
  const at = { host: gateway, port: tcp.port };
  const udp = await listenUdp(bindByNode, at, false, serve).catch((error: unknown) => {
    tcp.close();
    forwarder.close();
    throw error;
  });
  return {
    port: tcp.port,
    failed: AbortSignal.any([tcp.failed, udp.failed]),
    refresh,
    close() {
      tcp.close();
      udp.close();
      forwarder.close();
    },
  };
}

import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type AnswerPacket, createAnswerPacket, encodeFailure } from '../../dns/answer.ts';
import type { Asking } from '../../dns/asking.ts';
import { createQueryCounts } from '../../dns/counts.ts';
import { createForwarder } from '../../dns/forwarder.ts';
import { readResolvers } from '../../dns/host-resolvers.ts';
import { wireName } from '../../dns/names.ts';
import { createServeQuery } from '../../dns/serve-query.ts';
import { listenTcp } from '../../dns/tcp-listener.ts';
import { listenUdp } from '../../dns/udp-listener.ts';
import type { Upstream } from '../../dns/upstream.ts';
import { placeUpstreams } from '../../dns/upstream-health.ts';
import { isInZone } from '../../dns/zone.ts';
import { privateReverseZones } from './not-public.ts';

/** Answers the questions of builds, with what this host's own resolver says. */
export interface NameServer {
  /** On the gateway, over UDP and TCP. */
  port: number;
  /** Aborts when it broke by itself, with the error. */
  failed: AbortSignal;
  /** Reads the host's resolv.conf again, which DHCP and operators change. Never rejects. */
  refresh(): Promise<void>;
  close(): void;
}

export interface NameServerOptions {
  /** Where it listens, an address of this host. */
  gateway: string;
  /** The mesh's zone: a build is told that no name in it exists. */
  zone: string;
  /** Asked where the host's resolv.conf names no resolver. */
  upstreams: readonly Upstream[];
  /** Default: /etc/resolv.conf */
  resolvConf?: string;
}

/**
 * A name server for builds, which cannot reach this host's resolver: it may be 127.0.0.53 or 127.0.0.1, and one on the
 * network may be a neighbour. It listens on a port of its own, so that it does not matter who has port 53; the packet
 * filter leads questions there.
 *
 * @throws Error with the system's code when there is no such address
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
  const serve = createServeQuery(answerPacket, asking, forwarder.isOwn, createQueryCounts());

  const tcp = await listenTcp({ host: gateway, port: 0 }, serve);
  const udp = await listenUdp({ host: gateway, port: tcp.port }, serve).catch((error: unknown) => {
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

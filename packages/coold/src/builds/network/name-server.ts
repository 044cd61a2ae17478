import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Address } from '@coold/runtime';
import { type AnswerPacket, createAnswerPacket, encodeFailure } from '../../dns/answer.ts';
import { createQueryCounts } from '../../dns/counts.ts';
import { createForwarder, type Forwarder } from '../../dns/forwarder.ts';
import { wireName } from '../../dns/names.ts';
import { createServeQuery } from '../../dns/serve-query.ts';
import { listenTcp } from '../../dns/tcp-listener.ts';
import { listenUdp } from '../../dns/udp-listener.ts';
import { isInZone } from '../../dns/zone.ts';
import { privateReverseZones } from './not-public.ts';
import { readResolvers } from './resolvers.ts';

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
  upstream: Address;
  /** Default: /etc/resolv.conf */
  resolvConf?: string;
}

/** Questions under way may still be answered by a resolver that was taken out of resolv.conf, in ms. */
const lingerMs = 5000;

/**
 * A name server for builds, which cannot reach this host's resolver: it may be 127.0.0.53 or 127.0.0.1, and one on the
 * network may be a neighbour. It listens on a port of its own, so that it does not matter who has port 53; the packet
 * filter leads questions there.
 *
 * @throws Error with the system's code when there is no such address
 */
export async function startNameServer(options: NameServerOptions): Promise<NameServer> {
  const { gateway, zone, upstream, resolvConf = '/etc/resolv.conf' } = options;
  const wire = wireName(zone);
  const reverse = privateReverseZones.map(wireName);
  let forwarders: Forwarder[] = [];
  let text: string | undefined;

  async function refresh(): Promise<void> {
    const current = await readFile(resolvConf, 'utf8').catch(() => '');
    if (current === text) return;
    text = current;
    const named = readResolvers(current, gateway);
    const old = forwarders;
    forwarders = (named.length === 0 ? [upstream] : named).map(each => createForwarder({ upstream: each }));
    setTimeout(() => closeAll(old), lingerMs).unref();
  }
  await refresh();

  /** One after the other, as a program with that resolv.conf would. */
  const ask: Forwarder['ask'] = (query, transport, done) => {
    const [first, ...rest] = forwarders;
    const askNext = (next: Forwarder | undefined, others: readonly Forwarder[]) => {
      if (next === undefined) done(undefined);
      else
        next.ask(query, transport, answer =>
          answer === undefined ? askNext(others[0], others.slice(1)) : done(answer),
        );
    };
    askNext(first, rest);
  };
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
  const isOwn = (address: number, port: number) => forwarders.some(each => each.isOwn(address, port));
  const serve = createServeQuery(answerPacket, { ask, isOwn }, createQueryCounts());

  const tcp = await listenTcp({ host: gateway, port: 0 }, serve);
  const udp = await listenUdp({ host: gateway, port: tcp.port }, serve).catch((error: unknown) => {
    tcp.close();
    closeAll(forwarders);
    throw error;
  });
  return {
    port: tcp.port,
    failed: AbortSignal.any([tcp.failed, udp.failed]),
    refresh,
    close() {
      tcp.close();
      udp.close();
      closeAll(forwarders);
    },
  };
}

function closeAll(forwarders: readonly Forwarder[]): void {
  for (const forwarder of forwarders) forwarder.close();
}

// coold's DNS on addresses of loopback, and who asks it; for tests.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { runChild } from '@coold/runtime';
import { createDns, type DnsOptions } from '../src/dns/dns.ts';
import { createMessageReader, framed } from '../src/dns/tcp-frames.ts';
import { silent } from './dns-questions.ts';

export const dnsPort = 5300;

/** The ways in which it may answer. Nobody who asks shall notice which thread it was that answered, and in what company. */
export const ways = [
  { threads: 1, io: 'ffi' },
  { threads: 1, io: 'node' },
  { threads: 3, io: 'ffi' },
  { threads: 2, io: 'node' },
] as const;

type ServedOptions = Partial<DnsOptions> &
  Pick<DnsOptions, 'directory' | 'threads' | 'io'> & { addresses: Record<string, string> };

/**
 * Starts it on these addresses by namespace, and waits until it answers there; for tests.
 *
 * @param options.upstreams nobody, when not given
 */
export async function serveDns(options: ServedOptions) {
  const { addresses, listeners, ...rest } = options;
  const answering = Promise.withResolvers<void>();
  const dns = createDns({
    zone: 'coolify.internal',
    upstreams: [{ host: '127.0.0.1', port: 9 }],
    namespaces: Object.entries(addresses).map(([name, gateway]) => ({ name, network: name, gateway })),
    log: silent,
    port: dnsPort,
    listeners: {
      ...listeners,
      onChange: () => {
        if (dns.stats().listeners.every(({ bound }) => bound)) answering.resolve();
      },
    },
    ...rest,
  });
  const stop = new AbortController();
  const ended = dns.run(stop.signal);
  await Promise.race([answering.promise, ended]);
  return {
    dns,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

/** Asks with dig. @returns also what it printed */
export async function dig(address: string, ...args: string[]) {
  const { stdout } = await runChild(
    'dig',
    [`@${address}`, '-p', String(dnsPort), '+time=10', '+tries=1', ...args],
    { timeoutMs: 20_000 },
  );
  const status = /status: (\w+)/.exec(stdout)?.[1];
  const flags = /;; flags: ([a-z ]*);/.exec(stdout)?.[1]?.split(' ');
  const records = stdout
    .split('\n')
    .filter(line => line !== '' && !line.startsWith(';'))
    .map(line => line.split(/\s+/));
  return { stdout, status, flags, records };
}

/** Asks over UDP by hand. */
export async function overUdp(address: string, query: Buffer): Promise<Buffer> {
  const socket = createSocket('udp4');
  try {
    socket.send(query, dnsPort, address);
    const [answer] = (await once(socket, 'message')) as [Buffer];
    return answer;
  } finally {
    socket.close();
  }
}

/** Asks over TCP by hand. */
export async function overTcp(address: string, query: Buffer): Promise<Buffer> {
  const socket = await connection(address);
  const answer = new Promise<Buffer>(resolve => socket.on('data', createMessageReader(resolve)));
  socket.write(framed(query));
  return answer.finally(() => socket.destroy());
}

/** A connection by hand. */
export async function connection(address: string): Promise<Socket> {
  const socket = connect(dnsPort, address);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

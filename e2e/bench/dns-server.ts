// Runs one server of the dns suite in its own process, in the network namespace that started it: coold's DNS with a
// given number of threads, a bare loop that answers the same bytes, or a relay that forwards everything to the
// upstream. Prints "answering" once it answers.
import { createSocket } from 'node:dgram';
import { createDns } from '@coold/coold/dns';
import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { addressOf, namespace, zone } from './dns-names.ts';

const [kind, gateway = '', upstream = '', threads = '1'] = process.argv.slice(2);
switch (kind) {
  case 'coold':
    await serveCoold();
    break;
  case 'bare':
    serveBare();
    break;
  case 'relay':
    serveRelay();
    break;
  default:
    throw new Error(`no server ${kind}`);
}

async function serveCoold() {
  const log = createLogger(
    'coold',
    logFilter.parse('info') ?? { level: 'off', components: new Map() },
    false,
  );
  const lists = new Map<string, { address: string; hostMgmtIp: string; containerId: string }[]>();
  const dns = createDns({
    zone,
    upstreams: [{ host: upstream, port: 53 }],
    threads: Number(threads),
    namespaces: [{ name: namespace, network: 'bench', gateway }],
    directory: {
      find(wanted, name) {
        const address = wanted === namespace ? addressOf(name) : undefined;
        if (address === undefined) return undefined;
        const known = lists.get(name) ?? [{ address, hostMgmtIp: '100.64.0.1', containerId: name }];
        lists.set(name, known);
        return known;
      },
      bearers: () => undefined,
      leftOut: () => [],
      hasNamespace: wanted => wanted === namespace,
      watch() {},
      isLoaded: () => true,
      stats: () => ({ rows: 0, ageMs: 0, connected: true, resubscriptions: 0 }),
    },
    log,
  });
  await dns.run(new AbortController().signal);
}

/** Node's own datagram socket as its manual shows it, with the minimal code to answer. It does not look up names. */
function serveBare() {
  const socket = createSocket('udp4');
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 210, 0, 5]);
  socket.on('message', (query, { address, port }) => {
    const answer = Buffer.concat([query, record]);
    answer.writeUInt16BE(0x8580, 2);
    answer.writeUInt16BE(1, 6);
    socket.send(answer, port, address);
  });
  socket.bind(53, gateway, () => process.stderr.write('{"msg":"answering DNS"}\n'));
}

/**
 * The minimal code that forwards a question and returns its answer: it shows what Node's sockets add to the upstream's
 * time.
 */
function serveRelay() {
  const socket = createSocket('udp4');
  const asking = createSocket('udp4');
  asking.connect(53, upstream);
  const clients = new Map<number, { id: number; address: string; port: number }>();
  let last = 0;
  socket.on('message', (query, { address, port }) => {
    last = (last + 1) & 0xffff;
    clients.set(last, { id: query.readUInt16BE(0), address, port });
    query.writeUInt16BE(last, 0);
    asking.send(query);
  });
  asking.on('message', answer => {
    const client = clients.get(answer.readUInt16BE(0));
    if (client === undefined) return;
    answer.writeUInt16BE(client.id, 0);
    socket.send(answer, client.port, client.address);
  });
  socket.bind(53, gateway, () => process.stderr.write('{"msg":"answering DNS"}\n'));
}

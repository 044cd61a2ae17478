// A client whom the kernel cannot find: in a network namespace of its own. Needs root.
import { fileURLToPath } from 'node:url';
import { createNetns, type Netns } from '@coold/testbed/netns';
import { afterAll, beforeAll, expect, it } from 'vitest';

const gateway = '10.210.0.1';
const lost = '10.210.0.2';
let netns: Netns;

beforeAll(async () => {
  netns = await createNetns();
  const settings = [
    // What it is sent waits in the socket's buffer until it is found.
    'net.ipv4.ip_nonlocal_bind=1',
    ...['net.ipv4.neigh.shop.unres_qlen_bytes=1000000000', 'net.ipv4.neigh.shop.mcast_solicit=600'],
  ];
  await netns.exec('ip', ['link', 'add', 'shop', 'type', 'veth', 'peer', 'name', 'port']);
  await netns.exec('ip', ['address', 'add', `${gateway}/24`, 'dev', 'shop']);
  await netns.exec('ip', ['address', 'add', lost, 'dev', 'lo']);
  for (const name of ['lo', 'shop', 'port']) await netns.exec('ip', ['link', 'set', name, 'up']);
  // It may ask from here, and is yet looked for on the bridge.
  await netns.exec('ip', ['route', 'delete', 'local', lost, 'table', 'local']);
  await netns.exec('sysctl', ['-qw', ...settings]);
});
afterAll(() => netns.close());

const source = (name: string) => JSON.stringify(fileURLToPath(new URL(`${name}.ts`, import.meta.url)));

/** Asks for 160 MB of replies from where none arrives, and tells what of them is still in memory. */
const script = (isEpoll: boolean) => `
  import { createSocket } from 'node:dgram';
  import { createDatagramSockets } from ${source('datagram-sockets')};
  import { createEpollListeners } from ${source('epoll-listener')};
  import { epollHere, libcHere } from ${source('testing')};
  import { listenUdp } from ${source('udp-listener')};
  const listenEpoll = () => createEpollListeners(libcHere(), createDatagramSockets(libcHere(), 4194304), epollHere());
  const listen = ${isEpoll} ? listenEpoll() : listenUdp;
  let seen = 0;
  const reply = (_packet, _transport, _peer, done) => {
    seen += 1;
    done(Buffer.alloc(4096));
  };
  const { port } = await listen({ host: '${gateway}', port: 0 }, reply, false);
  const client = createSocket({ type: 'udp4', lookup: (name, _options, found) => found(null, name, 4) });
  client.bind(0, '${lost}');
  while (seen < 40_000) {
    for (let count = 0; count < 100; count += 1) client.send('?', port, '${gateway}');
    await new Promise(resolve => setImmediate(resolve));
  }
  gc();
  console.log(process.memoryUsage().arrayBuffers);
  process.exit();
`;

it.each([true, false])(
  'what the kernel does not take is dropped before it fills the memory, by way of epoll: %s',
  async isEpoll => {
    const { stdout } = await netns.exec(process.execPath, [
      ...['--expose-gc', '--input-type=module', '-e', script(isEpoll)],
    ]);
    expect(stdout).toMatch(/^\d+\n$/);
    expect(Number(stdout)).toBeLessThan(16 * 1024 * 1024);
  },
);

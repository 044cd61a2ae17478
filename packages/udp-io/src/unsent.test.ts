// A peer whom the kernel cannot find: in a network namespace of its own. Needs root.
import { fileURLToPath } from 'node:url';
import { createNetns, type Netns } from '@coold/testbed/netns';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { kinds } from '../test/io-here.ts';

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

const testing = JSON.stringify(fileURLToPath(new URL('../test/io-here.ts', import.meta.url)));

/** Asks for 160 MB of replies from where none arrives, and tells what of them is still in memory. */
const script = (kind: string) => `
  import { createSocket } from 'node:dgram';
  import { udpHere } from ${testing};
  let seen = 0;
  const { port } = await udpHere('${kind}').bind({ host: '${gateway}', port: 0 }, false, (_bytes, from, socket) => {
    seen += 1;
    socket.send(Buffer.alloc(4096), from);
  });
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

it.each(kinds)('what the kernel does not take is dropped before it fills the memory, by %s', async kind => {
  const { stdout } = await netns.exec(process.execPath, [
    ...['--expose-gc', '--input-type=module', '-e', script(kind)],
  ]);
  expect(stdout).toMatch(/^\d+\n$/);
  expect(Number(stdout)).toBeLessThan(16 * 1024 * 1024);
});

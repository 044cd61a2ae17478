// coold's DNS on addresses of loopback, asked by dig and by hand; a real dnsmasq is the upstream.
import { randomBytes, randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { startDnsmasq } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { Packet } from 'dns2';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askFor, directoryOf } from '../../test/dns-questions.ts';
import { connection, dig, overUdp, dnsPort as port, serveDns, ways } from '../../test/serve-dns.ts';
import { createDirectory } from '../discovery/directory/directory.ts';
import type { Endpoint } from '../discovery/endpoint.ts';
import { createMessageReader, framed } from './tcp-frames.ts';

/** Of loopback, so that runs side by side do not meet. */
const net = `127.${randomInt(1, 255)}.${randomInt(256)}`;
const many = Array.from({ length: 200 }, (_, index) => `10.210.1.${index + 1}`);
const directory = directoryOf({ 'web.shop': ['10.210.0.5', '10.210.0.6'], 'many.shop': many });

describe.each(ways)('with $threads threads, by $io', way => {
  const start = (options: Partial<Parameters<typeof serveDns>[0]> & { addresses: Record<string, string> }) =>
    serveDns({ directory, ...way, ...options });

  const shop = `${net}.1`;
  const blog = `${net}.2`;
  const upstream = `${net}.9`;
  const cleanup = new AsyncDisposableStack();
  let served: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    // It knows the names below example.test and no others.
    cleanup.use(
      await startDnsmasq([
        ...[`--port=${port}`, `--listen-address=${upstream}`, '--local=/example.test/'],
        '--host-record=web.example.test,192.0.2.7,300',
        ...many.map(text => `--txt-record=big.example.test,${text}`),
      ]),
    );
    served = cleanup.use(await start({ addresses: { shop, blog }, upstreams: [{ host: upstream, port }] }));
  });
  afterAll(() => cleanup.disposeAsync());

  describe('dig', () => {
    it.each(['+notcp', '+tcp'])('finds replicas in the zone on every gateway, %s', async transport => {
      for (const address of [shop, blog]) {
        const { status, flags, records } = await dig(address, transport, 'Web.SHOP.coolify.internal');
        expect(status).toBe('NOERROR');
        expect(flags).toEqual(['qr', 'aa', 'rd', 'ra']);
        expect(records.map(([, ttl, , type, data]) => [ttl, type, data]).sort()).toEqual([
          ['5', 'A', '10.210.0.5'],
          ['5', 'A', '10.210.0.6'],
        ]);
        // As it was asked: some resolvers check it to the letter.
        expect(records[0]?.[0]).toBe('Web.SHOP.coolify.internal.');
      }
    });

    it.each([
      ['web.shop.coolify.internal', 'AAAA', 'NOERROR'],
      ['coolify.internal', 'A', 'NOERROR'],
      ['shop.coolify.internal', 'A', 'NOERROR'],
      ['web.coolify.internal', 'A', 'NXDOMAIN'],
      ['nosuch.shop.coolify.internal', 'A', 'NXDOMAIN'],
    ])('finds no record for %s %s: %s', async (name, type, rcode) => {
      const { status, records } = await dig(shop, name, type);
      expect(status).toBe(rcode);
      expect(records.map(([owner, ttl, , kind]) => [owner, ttl, kind])).toEqual([
        ['coolify.internal.', '5', 'SOA'],
      ]);
    });

    it('is asked to use TCP for what does not fit, and gets all of it there', async () => {
      const name = 'many.shop.coolify.internal';
      const cut = await dig(shop, '+ignore', '+bufsize=1232', name);
      expect(cut.flags).toContain('tc');
      expect(cut.records.length).toBeLessThan(many.length);
      const whole = await dig(shop, '+bufsize=1232', name);
      expect(whole.stdout).toMatch(/\(TCP\)|retrying in TCP/);
      expect(whole.records.map(record => record[4]).sort()).toEqual([...many].sort());
    });

    it('with EDNS gets EDNS, without it none, and with a version to come BADVERS', async () => {
      const name = 'web.shop.coolify.internal';
      expect((await dig(shop, '+dnssec', name)).stdout).toContain('; EDNS: version: 0, flags: do; udp: 4096');
      expect((await dig(shop, '+noedns', name)).stdout).not.toContain('EDNS');
      expect((await dig(shop, '+edns=1', '+noednsnegotiation', name)).status).toBe('BADVERS');
    });

    it.each([
      ['NOTIMP', ['+opcode=NOTIFY', 'web.shop.coolify.internal']],
      ['REFUSED', ['CH', 'TXT', 'version.bind']],
    ])('gets %s for %j', async (status, args) => {
      expect((await dig(shop, ...args)).status).toBe(status);
    });

    it('gets what the upstream answers outside the zone, as it answers', async () => {
      const found = await dig(shop, 'web.example.test');
      expect(found).toMatchObject({
        status: 'NOERROR',
        records: [['web.example.test.', '300', 'IN', 'A', '192.0.2.7']],
      });
      expect((await dig(shop, 'nosuch.example.test')).status).toBe('NXDOMAIN');
      expect((await dig(shop, 'elsewhere.test')).status).toBe('REFUSED');
      const cut = await dig(shop, '+ignore', '+bufsize=1232', 'big.example.test', 'TXT');
      expect(cut.flags).toContain('tc');
      const whole = await dig(shop, '+tcp', 'big.example.test', 'TXT');
      expect(whole.records.map(record => record[4]).sort()).toEqual(many.map(text => `"${text}"`).sort());
    });

    it('is counted', async () => {
      const before = served.dns.stats();
      await dig(blog, 'nosuch.blog.coolify.internal');
      await dig(blog, 'web.example.test');
      const after = served.dns.stats();
      expect(after.queries - before.queries).toBe(2);
      expect(after.forwarded - before.forwarded).toBe(1);
      const grown = (of: 'byRcode' | 'byNamespace', key: string) =>
        (after[of].get(key) ?? 0) - (before[of].get(key) ?? 0);
      expect([grown('byRcode', 'NXDOMAIN'), grown('byRcode', 'NOERROR')]).toEqual([1, 1]);
      expect([grown('byNamespace', 'blog'), grown('byNamespace', 'shop')]).toEqual([2, 0]);
      expect(after.listeners).toEqual([
        { namespace: 'shop', address: shop, bound: true, problem: undefined },
        { namespace: 'blog', address: blog, bound: true, problem: undefined },
      ]);
    });
  });

  it('a look-up returns what a client would get', async () => {
    const lookUp = (name: string) => served.dns.lookUp(name);
    const inZone = { inZone: true, ttl: 5 };
    expect(await lookUp('web.shop.coolify.internal')).toEqual({
      ...inZone,
      name: 'web.shop.coolify.internal',
      rcode: 'NOERROR',
      answers: [
        { address: '10.210.0.5', hostMgmtIp: '100.64.0.1', containerId: 'web.shop-0' },
        { address: '10.210.0.6', hostMgmtIp: '100.64.0.1', containerId: 'web.shop-1' },
      ],
      leftOut: [],
      names: [],
    });
    expect(await lookUp('5.0.210.10.in-addr.arpa')).toEqual({
      ...inZone,
      name: '5.0.210.10.in-addr.arpa',
      rcode: 'NOERROR',
      answers: [],
      leftOut: [],
      names: ['web.shop.coolify.internal'],
    });
    expect(await lookUp('shop.coolify.internal')).toMatchObject({ ...inZone, rcode: 'NOERROR', answers: [] });
    expect(await lookUp('web.coolify.internal')).toMatchObject({ ...inZone, rcode: 'NXDOMAIN', answers: [] });
    expect(await lookUp('web.example.test')).toEqual({
      name: 'web.example.test',
      inZone: false,
      rcode: 'NOERROR',
      ttl: 300,
      answers: [{ address: '192.0.2.7', hostMgmtIp: '', containerId: '' }],
      leftOut: [],
      names: [],
    });
    expect(await lookUp('nosuch.example.test')).toMatchObject({
      inZone: false,
      rcode: 'NXDOMAIN',
      answers: [],
    });
  });

  it('any packet is survived: the next question is answered', async () => {
    const socket = createSocket('udp4');
    const packets = fc.sample(fc.uint8Array({ maxLength: 1500 }), 2000);
    for (const packet of [...packets, Buffer.alloc(0), randomBytes(65_507), Buffer.alloc(65_507)])
      await new Promise(sent => socket.send(packet, port, shop, sent));
    const query = askFor('web.shop.coolify.internal', 1);
    const answered = new Promise(resolve =>
      socket.on('message', answer => {
        if (answer.length > 2 && answer.readUInt16BE(0) === query.readUInt16BE(0) && answer[7] === 2)
          resolve(true);
      }),
    );
    const again = setInterval(() => socket.send(query, port, shop), 100);
    await answered;
    clearInterval(again);
    socket.close();
  });

  describe('over TCP', () => {
    const inZone = askFor('web.shop.coolify.internal', 1);

    it('queries sent in one go, in any pieces, are all answered', async () => {
      const socket = await connection(shop);
      const queries = Array.from({ length: 300 }, (_, index) =>
        askFor(index % 3 === 0 ? 'web.example.test' : 'web.shop.coolify.internal', 1),
      );
      const ids = new Map<number, number>();
      for (const query of queries) ids.set(query.readUInt16BE(0), (ids.get(query.readUInt16BE(0)) ?? 0) + 1);
      const all = new Promise<void>(resolve => {
        let left = queries.length;
        const read = createMessageReader(answer => {
          expect(Packet.parse(answer).header.rcode).toBe(0);
          const id = answer.readUInt16BE(0);
          ids.set(id, (ids.get(id) ?? 0) - 1);
          left -= 1;
          if (left === 0) resolve();
        });
        socket.on('data', read);
      });
      const stream = Buffer.concat(queries.map(framed));
      for (let at = 0; at < stream.length; at += 999) socket.write(stream.subarray(at, at + 999));
      await all;
      expect([...ids.values()].every(count => count === 0)).toBe(true);
      socket.destroy();
    });

    it('an invalid query ends the connection', async () => {
      for (const bytes of [
        framed(Buffer.alloc(0)),
        framed(randomBytes(5)),
        framed(Buffer.alloc(65_535, 0xff)),
      ]) {
        const socket = await connection(shop);
        socket.resume();
        socket.write(bytes);
        await once(socket, 'close');
      }
      expect((await overUdp(shop, inZone)).length).toBeGreaterThan(inZone.length);
    });
  });

  it('notices another program on its port, or prevents it', async () => {
    const address = `${net}.50`;
    await using shared = await start({
      addresses: { shop: address },
      listeners: { selfQueryEveryMs: 50, selfQueryTimeoutMs: 500 },
    });
    const stranger = createSocket({ type: 'udp4', reusePort: true });
    const bound = once(stranger, 'listening');
    stranger.bind(port, address);
    if (way.threads === 1) {
      await expect(bound).rejects.toThrow('EADDRINUSE');
      return;
    }
    await bound;
    const problem = () => shared.dns.stats().listeners[0]?.problem;
    await soon(() => expect(problem()).toBeTypeOf('string'));
    stranger.close();
    await soon(() => expect(problem()).toBeUndefined());
  });

  it('answers follow the directory of the mesh, from before it was read to the last container', async () => {
    const address = `${net}.40`;
    const mesh = createDirectory('100.64.0.1');
    await using _serving = await start({ addresses: { shop: address }, directory: mesh.directory });
    const row = (containerId: string, change: Partial<Endpoint> = {}): Endpoint => ({
      containerId,
      name: 'Web',
      namespace: 'shop',
      address: `10.210.0.${containerId}`,
      hostMgmtIp: '100.64.0.1',
      state: 'running',
      health: 'unknown',
      ...change,
    });
    const ask = async (name = 'web') => {
      const { status, records } = await dig(address, `${name}.shop.coolify.internal`);
      return [status, ...records.filter(record => record[3] === 'A').map(record => record[4])]
        .sort()
        .join(' ');
    };
    /** Other threads are told a moment later. */
    const becomes = (wanted: string, name?: string) =>
      soon(async () => expect(await ask(name)).toBe(wanted), { timeout: 10_000, interval: 10 });
    await becomes('SERVFAIL');
    mesh.endpoints.begin();
    mesh.endpoints.load(row('5'));
    await becomes('SERVFAIL');
    mesh.endpoints.finish();
    await becomes('10.210.0.5 NOERROR');
    mesh.endpoints.put(row('6'));
    await becomes('10.210.0.5 10.210.0.6 NOERROR');
    mesh.endpoints.put(row('5', { health: 'unhealthy' }));
    await becomes('10.210.0.6 NOERROR');
    mesh.endpoints.put(row('6', { address: '10.210.0.7' }));
    await becomes('10.210.0.7 NOERROR');
    mesh.endpoints.put(row('8', { name: 'db' }));
    mesh.registrations.begin();
    mesh.registrations.load({ serviceId: 's', containerId: '8', name: 'web', namespace: 'shop' });
    mesh.registrations.finish();
    await becomes('10.210.0.7 10.210.0.8 NOERROR');
    mesh.endpoints.remove('6');
    mesh.endpoints.put(row('5', { health: 'healthy' }));
    await becomes('10.210.0.5 10.210.0.8 NOERROR');
    mesh.endpoints.put(row('5', { state: 'exited' }));
    mesh.registrations.remove({ serviceId: 's', containerId: '8' });
    await becomes('NXDOMAIN');
    await becomes('10.210.0.8 NOERROR', 'db');
  });
});

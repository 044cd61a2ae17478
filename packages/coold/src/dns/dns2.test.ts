// What coold's DNS answers, asked and read by dns2, an implementation that shares nothing with coold's; a real dnsmasq is
// the upstream.
import { randomInt } from 'node:crypto';
import { startDnsmasq } from '@coold/testbed';
import { Packet, TCPClient, UDPClient } from 'dns2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { directoryOf } from '../../test/dns-questions.ts';
import { dnsPort as port, serveDns, ways } from '../../test/serve-dns.ts';

/** Of loopback, so that runs side by side do not meet. */
const net = `127.${randomInt(1, 255)}.${randomInt(256)}`;
const many = Array.from({ length: 200 }, (_, index) => `10.210.1.${index + 1}`);
const directory = directoryOf({ 'web.shop': ['10.210.0.5', '10.210.0.6'], 'many.shop': many });
const rcodes = { noError: 0, noSuchName: 3 };

describe.each(ways)('dns2, with $threads threads, by $io', way => {
  const [shop, upstream] = [`${net}.1`, `${net}.9`];
  const udp = UDPClient({ dns: shop, port });
  const tcp = TCPClient({ dns: shop, port });
  const cleanup = new AsyncDisposableStack();
  beforeAll(async () => {
    const known = ['--local=/example.test/', '--host-record=web.example.test,192.0.2.7,300'];
    cleanup.use(await startDnsmasq([`--port=${port}`, `--listen-address=${upstream}`, ...known]));
    const options = { directory, addresses: { shop }, upstreams: [{ host: upstream, port }] };
    cleanup.use(await serveDns({ ...options, ...way }));
  });
  afterAll(() => cleanup.disposeAsync());

  it.each([
    ['UDP', udp],
    ['TCP', tcp],
  ])('reads the addresses of a name by %s', async (_, ask) => {
    const { header, questions, answers, errors } = await ask('Web.SHOP.coolify.internal');
    expect(errors).toEqual([]);
    expect(header).toMatchObject({ qr: 1, aa: 1, tc: 0, rcode: rcodes.noError });
    expect(questions.map(({ name }) => name)).toEqual(['Web.SHOP.coolify.internal']);
    expect(answers.map(({ name, ttl, type, address }) => [name, ttl, type, address]).sort()).toEqual(
      ['10.210.0.5', '10.210.0.6'].map(address => ['Web.SHOP.coolify.internal', 5, Packet.TYPE.A, address]),
    );
  });

  it.each([
    ['web.shop.coolify.internal', 'AAAA', rcodes.noError],
    ['shop.coolify.internal', 'A', rcodes.noError],
    ['nosuch.shop.coolify.internal', 'A', rcodes.noSuchName],
  ] as const)('reads no record for %s %s, and how long that holds', async (name, type, rcode) => {
    const { header, answers, authorities, errors } = await udp(name, type);
    expect(errors).toEqual([]);
    expect(header).toMatchObject({ aa: 1, rcode });
    expect(answers).toEqual([]);
    expect(authorities).toMatchObject([{ name: 'coolify.internal', type: Packet.TYPE.SOA, ttl: 5 }]);
  });

  it('reads by UDP that an answer is cut short, and all of it by TCP', async () => {
    const name = 'many.shop.coolify.internal';
    const cut = await UDPClient({ dns: shop, port, retryOverTCP: false })(name);
    expect(cut.header).toMatchObject({ tc: 1, rcode: rcodes.noError });
    const whole = await udp(name);
    expect(whole.header.tc).toBe(0);
    expect(whole.answers.map(({ address }) => address).sort()).toEqual([...many].sort());
  });

  it('reads what the upstream answers outside the zone', async () => {
    const { header, answers } = await udp('web.example.test');
    expect(header.rcode).toBe(rcodes.noError);
    expect(answers).toMatchObject([{ name: 'web.example.test', ttl: 300, address: '192.0.2.7' }]);
    expect((await tcp('nosuch.example.test')).header.rcode).toBe(rcodes.noSuchName);
  });
});

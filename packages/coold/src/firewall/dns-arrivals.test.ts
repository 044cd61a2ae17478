import { createLogger } from '@coold/runtime';
import { expect, test } from 'vitest';
import { createDnsArrivals, type DnsPackets } from './dns-arrivals.ts';
import { describeInput } from './input-filters.ts';

const log = createLogger('test', { level: 'off', components: new Map() }, false);
const gateway = '10.210.0.1';

test('what containers ask in vain is told until it arrives again, and silence changes nothing', async () => {
  let now: DnsPackets | undefined = { asked: 10, arrived: 3 };
  const arrivals = createDnsArrivals({
    log,
    read: async () => now,
    explain: async () => 'ufw',
  });
  const look = (packets: DnsPackets | undefined) => {
    now = packets;
    return arrivals(gateway);
  };
  expect(await look(now), 'what was before is nobody’s').toBeUndefined();
  expect(await look({ asked: 12, arrived: 5 })).toBeUndefined();
  const lost = 'of 4 packets that containers sent it last, 0 arrived: ufw';
  expect(await look({ asked: 16, arrived: 5 })).toBe(lost);
  expect(await look({ asked: 16, arrived: 5 }), 'nobody asked').toBe(lost);
  expect(await look({ asked: 18, arrived: 7 })).toBeUndefined();
  expect(await look({ asked: 20, arrived: 8 })).toBe(
    'of 2 packets that containers sent it last, 1 arrived: ufw',
  );
  expect(await look({ asked: 0, arrived: 0 }), 'the guard was made anew').toBeDefined();
  expect(await look({ asked: 1, arrived: 1 })).toBeUndefined();
  expect(await look(undefined), 'the guard is gone').toBeUndefined();
});

test('a look that fails is no verdict', async () => {
  const arrivals = createDnsArrivals({ log, read: () => Promise.reject(new Error('nft')) });
  expect(await arrivals(gateway)).toBeUndefined();
});

test('who is in the way is named with the cure', () => {
  const ours =
    '-A INPUT -s 10.210.0.0/16 -d 10.210.0.0/16 -p udp -m udp --dport 53 -m comment --comment coolify-dns -j ACCEPT';
  const ufw = ['-P INPUT DROP', '-A INPUT -j ufw-before-input'];
  expect(describeInput(gateway, ufw, [])).toContain('`systemctl restart coolify-mesh-fw`');
  expect(describeInput(gateway, ufw, [])).toContain('`ufw allow to 10.210.0.1 port 53`');
  const dropped = ['-P INPUT ACCEPT', '-A INPUT -p udp -m udp --dport 53 -j DROP', ours];
  expect(describeInput(gateway, dropped, [])).toContain('INPUT: -A INPUT -p udp -m udp --dport 53 -j DROP');
  const chains = [
    { family: 'inet', table: 'firewalld', name: 'filter_INPUT' },
    { family: 'inet', table: 'filter', name: 'input' },
  ];
  const said = describeInput(gateway, ['-P INPUT DROP', ours], chains);
  expect(said).toContain('firewall-cmd');
  expect(said).toContain('chain input of table inet filter');
  expect(said).not.toContain('ufw');
});

import { createLogger } from '@coold/runtime/logger';
import { expect, test } from 'vitest';
import { describeForward, describeInput } from '../scaffold/other-filters.ts';
import { createArrivals, type Passage } from './arrivals.ts';

const log = createLogger('test', { level: 'off', components: new Map() }, false);
const gateway = '10.210.0.1';

test('lost queries are reported until queries arrive again, and silence changes nothing', async () => {
  let now: Passage | undefined;
  const arrivals = createArrivals({
    log,
    read: async () => now,
    describe: async (_place, { began, arrived }) => `${arrived} of ${began}`,
  });
  const look = (began: number, arrived: number) => {
    now = { began, arrived };
    return arrivals(gateway);
  };
  expect(await look(10, 3), 'what was before is nobody’s').toBeUndefined();
  expect(await look(12, 5)).toBeUndefined();
  expect(await look(16, 5)).toBe('0 of 4');
  expect(await look(16, 5), 'nothing came').toBe('0 of 4');
  expect(await look(18, 7)).toBeUndefined();
  expect(await look(20, 8)).toBe('1 of 2');
  expect(await look(0, 0), 'counted anew').toBe('1 of 2');
  expect(await look(1, 1)).toBeUndefined();
  expect(await look(3, 1)).toBe('0 of 2');
  now = undefined;
  expect(await arrivals(gateway), 'nothing counts any more').toBeUndefined();
});

test('one check is not enough if a change of rules may explain it, and a failed check decides nothing', async () => {
  const seen = [10, 11, 12, 13].map(began => ({ began, arrived: 5 }));
  const patient = createArrivals({
    log,
    looks: 2,
    describe: async () => 'lost',
    read: async () => seen.shift() ?? Promise.reject(new Error('nft')),
  });
  const told: (string | undefined)[] = [];
  for (let look = 0; look < 5; look += 1) told.push(await patient('FORWARD'));
  expect(told).toEqual([undefined, undefined, 'lost', 'lost', 'lost']);
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

test('who drops what is forwarded is named, too', () => {
  const forward = [
    ...['-P FORWARD DROP', '-A FORWARD -d 10.210.0.0/16 -j COOLIFY-INTRA'],
    '-A FORWARD -s 10.210.0.0/24 -m comment --comment coolify-egress -j ACCEPT',
  ];
  expect(describeForward(['-P FORWARD DROP'], [])).toContain('`systemctl restart coolify-mesh-fw`');
  expect(describeForward(forward, [])).toBe("something in this host's packet filter drops the rest");
  const firewalld = { family: 'inet', table: 'firewalld', name: 'filter_FORWARD' };
  expect(describeForward(forward, [firewalld])).toContain('--zone=trusted --add-interface=wg0');
});

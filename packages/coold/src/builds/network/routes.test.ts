import { createNetns } from '@coold/testbed/netns';
import { expect, it } from 'vitest';
import { collision, readRoutes, uplinksOf } from './routes.ts';

/** What `ip` says of a host with these interfaces and routes. */
async function routesOf(links: readonly string[], routes: readonly string[]) {
  const netns = await createNetns();
  try {
    for (const [index, name] of links.entries()) {
      await netns.exec('ip', ['link', 'add', name, 'type', 'bridge']);
      await netns.exec('ip', ['address', 'add', `10.${index}.0.2/24`, 'dev', name]);
      await netns.exec('ip', ['link', 'set', name, 'up']);
    }
    for (const route of routes) await netns.exec('ip', ['route', 'add', ...route.split(' ')]);
    const { stdout } = await netns.exec('ip', ['-json', '-4', 'route', 'show', 'table', 'all']);
    return readRoutes(stdout);
  } finally {
    await netns.close();
  }
}

it('the way out is where default routes lead, in whichever table, but not the mesh', async () => {
  const routes = await routesOf(
    ['eth0', 'eth1', 'eth2', 'tun0', 'wg0', 'br0'],
    [
      'default via 10.0.0.1 dev eth0',
      'default via 10.1.0.1 dev eth1 table 200',
      'default table 51820 dev wg0',
      // As OpenVPN has it.
      ...['0.0.0.0/1 dev tun0', '128.0.0.0/1 dev tun0', '10.9.0.0/16 via 10.2.0.1 dev eth2'],
    ],
  );
  expect(uplinksOf(routes, 'wg0')).toEqual(['eth0', 'eth1', 'tun0']);
});

it('one that is shared by two leads by both', async () => {
  const shared = 'default nexthop via 10.0.0.1 dev eth0 nexthop via 10.1.0.1 dev eth1';
  expect(uplinksOf(await routesOf(['eth0', 'eth1'], [shared]), 'wg0')).toEqual(['eth0', 'eth1']);
});

it('a host without a default route has no way out', async () => {
  expect(uplinksOf(await routesOf(['eth0'], []), 'wg0')).toEqual([]);
  expect(readRoutes('')).toEqual([]);
  expect(() => readRoutes('{}')).toThrow('expected a list');
});

it('an interface name that nft would misread is not used as an uplink', () => {
  const to = (name: string) => ({ to: 'default', devices: [name] });
  expect(uplinksOf(['*', 'e"', 'a b', 'lo', 'coolbuild3', 'eth0.5'].map(to), 'wg0')).toEqual(['eth0.5']);
});

it('finds who else has addresses of the range', async () => {
  const routes = await routesOf(
    ['eth0', 'eth1', 'coolbuild4'],
    ['default via 10.0.0.1 dev eth0', '240.0.1.0/24 via 10.1.0.1 dev eth1', '240.0.2.7 dev coolbuild4'],
  );
  expect(collision(routes, '240.0.0.0/24')).toBeUndefined();
  expect(collision(routes, '240.0.2.0/24')).toBeUndefined();
  expect(collision(routes, '240.0.1.0/24')).toEqual({ to: '240.0.1.0/24', devices: ['eth1'] });
  expect(collision(routes, '240.0.0.0/16')).toMatchObject({ to: '240.0.1.0/24' });
  // Its very own, and a network that it lies in.
  expect(collision(routes, '10.1.0.0/24')).toMatchObject({ devices: ['eth1'] });
  expect(collision([{ to: '240.0.0.0/4', devices: ['eth0'] }], '240.0.0.0/24')).toBeDefined();
});

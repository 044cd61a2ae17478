import { expect, test } from 'vitest';
import { createHetznerApi } from './api.ts';
import { readSurroundings } from './environment.ts';
import { createHetzner } from './hetzner.ts';
import { ownLabels } from './removal.ts';

test('two servers of Hetzner Cloud work as hosts, and are gone afterwards', { timeout: 1_800_000 }, async ({
  skip,
}) => {
  const surroundings = readSurroundings();
  if (surroundings.kind === 'absent') return skip(surroundings.reason);
  const { settings } = surroundings;
  const hetzner = createHetzner({ settings: { ...settings, keepServers: false } });
  const addresses: string[] = [];
  try {
    const [a, b] = await hetzner.up(['a', 'b']);
    if (a === undefined || b === undefined) throw new Error('no hosts');
    addresses.push(a.address, b.address);
    const reachesB = async () => (await a.exec(['ping', '-c', '1', '-W', '2', b.address])).code === 0;
    expect(await b.exec(['hostname'])).toMatchObject({ stdout: 'b\n' });
    expect(await b.exec(['podman', 'info'])).toMatchObject({ code: 0 });
    await b.put('kept', '/opt/some folder/mark', 0o600);
    expect(await reachesB()).toBe(true);
    await b.cut();
    expect(await reachesB()).toBe(false);
    await b.reboot();
    expect(await reachesB()).toBe(false);
    await b.heal();
    expect(await reachesB()).toBe(true);
    await b.exec(['systemd-run', '--unit=speaks', '--wait', 'echo', 'it spoke']);
    await b.crash();
    expect(await reachesB()).toBe(false);
    expect(await b.journal('speaks')).toContain('it spoke');
    await b.boot();
    expect(await reachesB()).toBe(true);
    expect((await b.get('/opt/some folder/mark')).toString()).toBe('kept');
  } finally {
    await hetzner.close();
  }
  const api = createHetznerApi({ token: settings.token });
  try {
    const left = await api.servers(ownLabels);
    expect(left.filter(({ address }) => address !== undefined && addresses.includes(address))).toEqual([]);
  } finally {
    await api.close();
  }
});

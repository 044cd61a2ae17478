import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeHolder, findPortHolders } from '@coold/runtime';
import { freePort, scratchFolder, startDnsmasq } from '@coold/testbed';
import { describe, expect, it } from 'vitest';

it('finds who else has a port of an address, and says what can be done', async () => {
  const port = await freePort();
  await using dnsmasq = await startDnsmasq([`--port=${port}`, '--listen-address=127.0.0.1']);
  const holders = await findPortHolders('127.0.0.1', port);
  const process = { pid: dnsmasq.pid, name: 'dnsmasq' };
  expect(holders).toEqual([
    { protocol: 'udp', address: '127.0.0.1', process, suspects: [] },
    { protocol: 'tcp', address: '127.0.0.1', process, suspects: [] },
  ]);
  expect(holders.map(describeHolder)[0]).toBe(
    `dnsmasq (pid ${dnsmasq.pid}) on udp 127.0.0.1: give it bind-interfaces or except-interface, or end it`,
  );
  expect(await findPortHolders('127.0.0.2', port)).toEqual([]);
});

it('finds nothing in the way of a port that is free, or our own', async () => {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  expect(await findPortHolders('127.0.0.1', socket.address().port)).toEqual([]);
  socket.close();
  expect(describeHolder({ protocol: 'udp', address: '::', process: undefined, suspects: [] })).toBe(
    'a process that cannot be seen on udp ::',
  );
});

// A /proc made for it: what coold may not see as the unit of systemd that it is, a root that tests run as does see.
describe('of a process whose files may not be read', () => {
  const tables = { udp: '0100007F:0035', tcp: '' };
  async function proc(folder: string, processes: Record<number, { comm: string; cmdline?: string[] }>) {
    await mkdir(join(folder, 'net'), { recursive: true });
    await writeFile(join(folder, 'net/udp'), ` 1: ${tables.udp} 00000000:0000 07 0:0 0:0 0 0 0 4711\n`);
    for (const [pid, { comm, cmdline = [] }] of Object.entries(processes)) {
      await mkdir(join(folder, pid));
      await writeFile(join(folder, pid, 'comm'), `${comm}\n`);
      await writeFile(join(folder, pid, 'cmdline'), cmdline.join('\0'));
    }
    return folder;
  }

  it('those are named that run and usually are in the way', async () => {
    await using folder = await scratchFolder();
    const path = await proc(folder.path, { 7: { comm: 'sh' }, 8: { comm: 'dnsmasq' } });
    const holders = await findPortHolders('127.0.0.1', 53, path);
    expect(holders.map(describeHolder)).toEqual([
      'a process that cannot be seen on udp 127.0.0.1; running here: dnsmasq (pid 8): give it bind-interfaces or except-interface, or end it',
    ]);
  });

  it('another coold is one of them', async () => {
    await using folder = await scratchFolder();
    const cmdline = ['/usr/local/lib/coold/node', '/usr/local/lib/coold/coold.mjs'];
    const path = await proc(folder.path, { 9: { comm: 'node-MainThread', cmdline } });
    expect((await findPortHolders('127.0.0.1', 53, path)).map(describeHolder)).toEqual([
      'a process that cannot be seen on udp 127.0.0.1; running here: coold (pid 9): another coold runs on this host',
    ]);
  });

  it('leaves out a command that asks coold', async () => {
    await using folder = await scratchFolder();
    const run = (...args: string[]) => ({
      comm: 'coold',
      cmdline: ['/usr/local/lib/coold/node', '/usr/local/lib/coold/coold.mjs', ...args],
    });
    const processes = {
      9: run('status', '--json'),
      10: run('why', 'a', 'b'),
      11: run('--log-level', 'debug'),
    };
    const path = await proc(folder.path, processes);
    expect((await findPortHolders('127.0.0.1', 53, path)).map(describeHolder)).toEqual([
      'a process that cannot be seen on udp 127.0.0.1; running here: coold (pid 11): another coold runs on this host',
    ]);
  });
});

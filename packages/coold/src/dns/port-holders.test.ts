import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { freePort, startDnsmasq } from '@coold/testbed';
import { expect, it } from 'vitest';
import { describeHolder, findPortHolders } from './port-holders.ts';

it('finds who else has a port of an address, and says what can be done', async () => {
  const port = await freePort();
  await using dnsmasq = await startDnsmasq([`--port=${port}`, '--listen-address=127.0.0.1']);
  const holders = await findPortHolders('127.0.0.1', port);
  const process = { pid: dnsmasq.pid, name: 'dnsmasq' };
  expect(holders).toEqual([
    { protocol: 'udp', address: '127.0.0.1', process },
    { protocol: 'tcp', address: '127.0.0.1', process },
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
  expect(describeHolder({ protocol: 'udp', address: '::', process: undefined })).toBe(
    'a process that cannot be seen on udp ::',
  );
});

import { describe, expect, it } from 'vitest';
import { parseMeminfo, parsePeers, readDisk, readMemory, readPeers } from './host-facts.ts';

const forever = new AbortController().signal;

describe('memory', () => {
  it('is in bytes', () => {
    const text = 'MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    500 kB\n';
    expect(parseMeminfo(text)).toEqual({ total: 1_024_000n, available: 512_000n });
    expect(() => parseMeminfo('MemTotal: 5 kB')).toThrow(/MemTotal|MemAvailable/);
  });

  it('is read from the kernel', async () => {
    const { total, available } = await readMemory();
    expect(available).toBeGreaterThan(0n);
    expect(total).toBeGreaterThan(available);
  });
});

it('disk falls back to the root where the storage is not seen', async () => {
  expect((await readDisk('/no/such/folder')).total).toBe((await readDisk('/')).total);
});

describe('peers', () => {
  const dump = [
    'PRIVATE\tPUBLIC\t51820\toff',
    'peer1\tPRESHARED\t192.0.2.1:51820\t100.64.0.2/32,10.210.2.0/24\t1000\t5\t6\t25',
    'peer2\t(none)\t(none)\t(none)\t0\t0\t0\toff',
    '',
  ].join('\n');

  it('have the age of their handshake, and no secret', () => {
    const peers = parsePeers(dump, 1_060_500);
    expect(peers).toEqual([
      {
        publicKey: 'peer1',
        endpoint: '192.0.2.1:51820',
        allowedIps: ['100.64.0.2/32', '10.210.2.0/24'],
        lastHandshakeS: 60n,
        keepaliveS: 25,
        rx: 5n,
        tx: 6n,
      },
      {
        publicKey: 'peer2',
        endpoint: '',
        allowedIps: [],
        lastHandshakeS: undefined,
        keepaliveS: undefined,
        rx: 0n,
        tx: 0n,
      },
    ]);
    expect(peers.flatMap(peer => Object.values(peer))).not.toContain('PRESHARED');
  });

  it('of an interface that is not nothing is known', async () => {
    expect(await readPeers('nosuch0', forever)).toBeUndefined();
  });
});

import { expect, test } from 'vitest';
import { judgeWireguard, type MeshPeer } from './judge-wireguard.ts';

const peer: MeshPeer = {
  endpoint: '192.0.2.1:51820',
  allowedIps: ['100.64.0.2/32', '10.210.6.0/24'],
  lastHandshakeS: 10n,
};

test.each<[string, readonly MeshPeer[] | undefined, boolean, string]>([
  ['a peer that was heard from', [peer], false, 'passes'],
  ['no interface', undefined, false, 'blocked'],
  ['no peer for the address', [{ ...peer, allowedIps: ['10.210.7.0/24', 'fd00::/8'] }], false, 'blocked'],
  ['a peer without an endpoint', [{ ...peer, endpoint: '' }], false, 'blocked'],
  [
    'silence where something is sent in any case',
    [{ ...peer, lastHandshakeS: 181n, keepaliveS: 25 }],
    false,
    'blocked',
  ],
  ['silence where nothing need be sent', [{ ...peer, lastHandshakeS: 181n }], false, 'unknown'],
  ['silence of a host that the mesh has not seen', [{ ...peer, lastHandshakeS: 181n }], true, 'blocked'],
  ['no handshake ever', [{ ...peer, lastHandshakeS: undefined, keepaliveS: 25 }], false, 'blocked'],
  [
    'a wider network of a silent peer',
    [{ ...peer, allowedIps: ['10.210.0.0/16'], lastHandshakeS: 999n }, peer],
    false,
    'passes',
  ],
])('%s', (_, peers, isGone, verdict) => {
  expect(judgeWireguard('10.210.6.3', peers, isGone).verdict).toBe(verdict);
});

import { expect, test } from 'vitest';
import { generateKeys, wgQuickConfig } from './wireguard.ts';

test('keys are 32 bytes in base64 and unique', () => {
  const [one, two] = [generateKeys(), generateKeys()];
  for (const key of [one.privateKey, one.publicKey]) expect(key).toMatch(/^[A-Za-z0-9+/]{43}=$/);
  expect(one).not.toEqual(two);
});

test('a configuration has its own address and the networks routed to each peer', () => {
  const text = wgQuickConfig({ privateKey: 'own', address: '100.64.0.1/32' }, [
    { publicKey: 'theirs', endpoint: '198.18.0.11:51820', allowedIps: ['100.64.0.2/32', '10.210.1.0/24'] },
  ]);
  expect(text).toBe(`[Interface]
PrivateKey = own
Address = 100.64.0.1/32
ListenPort = 51820

[Peer]
PublicKey = theirs
Endpoint = 198.18.0.11:51820
AllowedIPs = 100.64.0.2/32, 10.210.1.0/24
PersistentKeepalive = 2
`);
});

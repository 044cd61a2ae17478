import { expect, it } from 'vitest';
import { createSilentPeers, silentHosts } from './silent-peers.ts';

const allowedIps = ['100.64.0.2/32', '10.210.2.0/24'];

/** Looks every 10 s at a peer, which says of itself what each look gives. */
function looks(each: { rx: number; tx: number; handshake?: number }[]) {
  let at = 0;
  const peers = createSilentPeers(() => at);
  for (const { rx, tx, handshake } of each) {
    const lastHandshakeS = handshake === undefined ? undefined : BigInt(handshake);
    peers.saw([{ publicKey: 'k', endpoint: '', allowedIps, lastHandshakeS, rx: BigInt(rx), tx: BigInt(tx) }]);
    at += 10_000;
  }
  return peers.list();
}

it('a peer that is sent to for longer than its session lives, and says nothing, is silent', () => {
  const dead = [0, 1, 2, 3, 4].map(n => ({ rx: 500, tx: 148 * n, handshake: 150 + 10 * n }));
  expect(looks(dead)).toEqual([{ allowedIps, lastHandshakeS: 190 }]);
});

it('so is one that never was there', () => {
  expect(looks([0, 1, 2, 3, 4].map(n => ({ rx: 0, tx: 148 * n })))).toEqual([
    { allowedIps, lastHandshakeS: undefined },
  ]);
});

it.each([
  ['nothing is sent', [0, 1, 2, 3, 4, 5].map(n => ({ rx: 500, tx: 900, handshake: 4000 + 10 * n }))],
  ['the session lives', [0, 1, 2, 3, 4, 5].map(n => ({ rx: 500, tx: 90 * n, handshake: 100 + 10 * n }))],
  ['it answers', [0, 1, 2, 3, 4, 5].map(n => ({ rx: 90 * n, tx: 90 * n, handshake: 100 }))],
  [
    'only the last word of a session was sent',
    [0, 1, 1, 1, 1, 1, 1].map(n => ({ rx: 500, tx: 32 * n, handshake: 9000 })),
  ],
  [
    'it is heard again',
    [0, 1, 2, 3, 4]
      .map(n => ({ rx: 500, tx: 148 * n, handshake: 9000 }))
      .concat({ rx: 592, tx: 900, handshake: 1 }),
  ],
])('it is not where %s', (_, each) => {
  expect(looks(each)).toEqual([]);
});

it('of silent peers, those that are hosts of the mesh are named', () => {
  const silent = [
    { allowedIps, lastHandshakeS: 200 },
    { allowedIps: ['100.64.0.99/32'], lastHandshakeS: undefined },
  ];
  expect(silentHosts(silent, address => address === '100.64.0.2')).toEqual([
    { hostMgmtIp: '100.64.0.2', lastHandshakeS: 200 },
  ]);
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isBelowNetavark, liftHooks } from './hooks.ts';

const hook = '-A FORWARD -d 10.210.0.0/16 -j COOLIFY-INTRA';
const back = '-A POSTROUTING -s 10.210.0.0/16 -o wg0 -j RETURN';
const published =
  '-A FORWARD -d 10.210.0.0/24 -m conntrack --ctstate DNAT -m comment --comment coolify-published -j ACCEPT';
const egress = '-A FORWARD -s 10.210.0.0/24 -m comment --comment coolify-egress -j ACCEPT';
const netavark = '-A FORWARD -m comment --comment "netavark firewall plugin rules" -j NETAVARK_FORWARD';
const hosts = '-A POSTROUTING -j NETAVARK-HOSTPORT-MASQ';

describe('hooks', () => {
  it('that are on top are left alone', () => {
    expect(liftHooks({ forward: ['-P FORWARD ACCEPT', hook, netavark], postrouting: [back, hosts] })).toBe(
      '',
    );
  });

  it('that something came to stand over are put above it, each table in one commit', () => {
    expect(liftHooks({ forward: ['-P FORWARD ACCEPT', netavark, hook], postrouting: [hosts, back] })).toBe(
      [
        '*filter',
        '-D FORWARD -d 10.210.0.0/16 -j COOLIFY-INTRA',
        '-I FORWARD 1 -d 10.210.0.0/16 -j COOLIFY-INTRA',
        'COMMIT',
        '*nat',
        '-D POSTROUTING -s 10.210.0.0/16 -o wg0 -j RETURN',
        '-I POSTROUTING 1 -s 10.210.0.0/16 -o wg0 -j RETURN',
        'COMMIT',
        '',
      ].join('\n'),
    );
  });

  it('are known to stand below netavark alone, which is a thing of every day, or below others too', () => {
    const own = [published, hook, egress];
    const masquerade =
      '-A POSTROUTING -s 10.210.0.0/24 -m comment --comment "name: x id: y" -j NETAVARK-1D8721804F16F';
    const established = '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT';
    const below = (forward: string[], postrouting = [back, hosts]) =>
      isBelowNetavark({ forward, postrouting });
    expect(below([netavark, ...own])).toBe(true);
    expect(below([netavark, established, ...own], [hosts, masquerade, back])).toBe(true);
    expect(below(own, [hosts, back])).toBe(true);
    expect(below(own), 'nothing stands above').toBe(false);
    expect(below([netavark]), 'there are none').toBe(false);
    const others = [
      '-A FORWARD -j DOCKER-USER',
      '-A FORWARD -j ACCEPT',
      '-A FORWARD -j NETAVARK_FORWARD -j ACCEPT',
    ];
    for (const other of others) expect(below([netavark, other, ...own]), other).toBe(false);
    expect(below([netavark, ...own], ['-A POSTROUTING -j MASQUERADE', hosts, back])).toBe(false);
  });

  it('are not made where there are none: a permissive host stays one', () => {
    expect(liftHooks({ forward: [netavark], postrouting: [hosts, back] })).toBe('');
  });

  it('do not take somebody else’s RETURN along', () => {
    const theirs = '-A POSTROUTING -s 192.0.2.0/24 -o eth1 -j RETURN';
    expect(liftHooks({ forward: [hook], postrouting: [theirs, hosts] })).toBe('');
  });

  it('of a scaffold that answers established connections in FORWARD stay below that, and only those for what goes to a container are lifted', () => {
    const established = '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT';
    const to = '-A FORWARD -d 10.210.0.0/24 -j COOLIFY-INTRA';
    const from = '-A FORWARD -s 10.210.0.0/24 -j COOLIFY-INTRA';
    const theirs = [netavark, established, to, from];
    const after = apply(theirs, liftHooks({ forward: theirs, postrouting: [] }));
    // Else replies to what a container asked of the world end in the deny, and so does what it asks.
    expect(after).toEqual([established, published, to, egress, netavark, from]);
    expect(liftHooks({ forward: after, postrouting: [] }), 'once is enough').toBe('');
  });

  it('of that scaffold are put in order when all of them were lifted before', () => {
    const established = '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT';
    const to = '-A FORWARD -d 10.210.0.0/24 -j COOLIFY-INTRA';
    const from = '-A FORWARD -s 10.210.0.0/24 -j COOLIFY-INTRA';
    const forward = [to, from, netavark, established];
    const after = apply(forward, liftHooks({ forward, postrouting: [] }));
    // What it sends to others than containers of this host is accepted before its own hook.
    expect(after).toEqual([established, published, to, egress, from, netavark]);
  });

  it('of that scaffold that stand there twice stand there once', () => {
    const established = '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT';
    const to = '-A FORWARD -d 10.210.0.0/24 -j COOLIFY-INTRA';
    const from = '-A FORWARD -s 10.210.0.0/24 -j COOLIFY-INTRA';
    const forward = [netavark, established, to, from, to, from];
    const after = apply(forward, liftHooks({ forward, postrouting: [] }));
    expect(after).toEqual([established, published, to, egress, netavark, from, from]);
    expect(liftHooks({ forward: after, postrouting: [] }), 'once is enough').toBe('');
  });

  it('of a pool stay behind what that scaffold’s containers send, and those of joined subnets do not', () => {
    const established = '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT';
    const to = '-A FORWARD -d 10.210.0.0/24 -j COOLIFY-INTRA';
    const from = '-A FORWARD -s 10.210.0.0/24 -j COOLIFY-INTRA';
    const joined = '-A FORWARD -d 10.90.0.0/24 -m comment --comment joined -j COOLIFY-INTRA';
    const forward = [hook, joined, netavark, established, to, from];
    const after = apply(forward, liftHooks({ forward, postrouting: [] }));
    const rest = after.filter(line => !line.includes('coolify-published'));
    expect(rest).toEqual([established, joined, to, egress, hook, netavark, from]);
    expect(liftHooks({ forward: after, postrouting: [] }), 'once is enough').toBe('');
  });

  it('leave an accept of established connections that somebody put below them where it is', () => {
    const established = '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT';
    expect(liftHooks({ forward: [hook, established, netavark], postrouting: [] })).toBe('');
    const forward = [netavark, hook, established];
    expect(apply(forward, liftHooks({ forward, postrouting: [] }))).toEqual([hook, netavark, established]);
  });

  it('keep their order, lose none and gain none, whatever the chain looks like', () => {
    const rule = fc.constantFrom(
      hook,
      '-A FORWARD -d 10.99.0.0/16 -j COOLIFY-INTRA',
      netavark,
      '-A FORWARD -j LOG',
    );
    fc.assert(
      fc.property(fc.uniqueArray(rule), forward => {
        const kept = forward.filter(line => line.endsWith('COOLIFY-INTRA'));
        const after = apply(forward, liftHooks({ forward, postrouting: [] }));
        expect(after.slice(0, kept.length)).toEqual(kept);
        expect(after.toSorted()).toEqual(forward.toSorted());
        expect(liftHooks({ forward: after, postrouting: [] }), 'once is enough').toBe('');
      }),
    );
  });
});

/** What iptables-restore would make of it. */
function apply(forward: readonly string[], script: string): string[] {
  const chain = [...forward];
  for (const line of script.split('\n')) {
    const [, verb, rest = ''] = /^-([ADI]) FORWARD (.*)$/.exec(line) ?? [];
    if (verb === 'D') chain.splice(chain.indexOf(`-A FORWARD ${rest}`), 1);
    if (verb === 'A') chain.push(`-A FORWARD ${rest}`);
    if (verb === 'I') {
      const [, at = '', rule = ''] = /^(\d+) (.*)$/.exec(rest) ?? [];
      chain.splice(Number(at) - 1, 0, `-A FORWARD ${rule}`);
    }
  }
  return chain;
}

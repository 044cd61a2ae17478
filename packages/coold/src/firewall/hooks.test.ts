import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { liftHooks } from './hooks.ts';

const hook = '-A FORWARD -d 10.210.0.0/16 -j COOLIFY-INTRA';
const back = '-A POSTROUTING -s 10.210.0.0/16 -o wg0 -j RETURN';
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

  it('are not made where there are none: a permissive host stays one', () => {
    expect(liftHooks({ forward: [netavark], postrouting: [hosts, back] })).toBe('');
  });

  it('do not take somebody else’s RETURN along', () => {
    const theirs = '-A POSTROUTING -s 192.0.2.0/24 -o eth1 -j RETURN';
    expect(liftHooks({ forward: [hook], postrouting: [theirs, hosts] })).toBe('');
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
    const [, verb, rest = ''] = /^-([DI]) FORWARD (.*)$/.exec(line) ?? [];
    if (verb === 'D') chain.splice(chain.indexOf(`-A FORWARD ${rest}`), 1);
    if (verb === 'I') {
      const [, at = '', rule = ''] = /^(\d+) (.*)$/.exec(rest) ?? [];
      chain.splice(Number(at) - 1, 0, `-A FORWARD ${rule}`);
    }
  }
  return chain;
}

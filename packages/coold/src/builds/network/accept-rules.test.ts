// Against iptables itself, of either kind.
import { scratchFolder } from '@coold/testbed';
import { createPacketFilter } from '@coold/testbed/packet-filter';
import { describe, expect, it } from 'vitest';
import { planAcceptance } from './accept-rules.ts';

describe.each(['nft', 'legacy'] as const)('iptables-%s', backend => {
  async function open() {
    const folder = await scratchFolder();
    const filter = await createPacketFilter(folder.path, backend);
    return {
      filter,
      look: async () => planAcceptance((await filter.iptables('-S')).split('\n')),
      async [Symbol.asyncDispose]() {
        await filter[Symbol.asyncDispose]();
        await folder[Symbol.asyncDispose]();
      },
    };
  }

  it('takes what is missing, once', async () => {
    await using t = await open();
    const { missing } = await t.look();
    expect(missing).toHaveLength(3);
    for (const rule of missing) await t.filter.iptables(...rule);
    expect(await t.look()).toEqual({ missing: [], blocking: [] });
    await t.filter.iptables('-D', 'INPUT', '1');
    expect((await t.look()).missing).toEqual([missing[2]]);
  });

  it('leaves it to the operator what ends every packet before that', async () => {
    await using t = await open();
    for (const rule of ['-P FORWARD DROP', '-A FORWARD -i eth1 -j DROP', '-A FORWARD -j REJECT'])
      await t.filter.iptables(...rule.split(' '));
    for (const rule of (await t.look()).missing) await t.filter.iptables(...rule);
    await t.filter.iptables('-A', 'INPUT', '-j', 'DROP');
    expect(await t.look()).toEqual({
      missing: [],
      blocking: ['-A FORWARD -j REJECT --reject-with icmp-port-unreachable'],
    });
  });
});

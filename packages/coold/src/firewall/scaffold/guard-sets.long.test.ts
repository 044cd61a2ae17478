// The guard's sets beside the two planes of the contract: real nft, each backend of iptables. Needs root.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { soon } from '@coold/testbed/soon';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  allow,
  type FirewallHost,
  ids,
  noDrift,
  openFirewallHost,
  revoke,
  web,
} from '../../../test/firewall-host.ts';
import { ruleNumber } from '../../../test/rule-examples.ts';
import { elementOf } from '../deny/guard-element.ts';
import { withId } from '../rule/rule.ts';

const restoreScript = fileURLToPath(new URL('../../../../../systemd/restore-allow.sh', import.meta.url));
const tables = ['inet coolify_guard', 'bridge coolify_bridge'];

describe.each(['nft', 'legacy'] as const)('with iptables-%s', backend => {
  let on: FirewallHost;
  beforeEach(async () => {
    on = await openFirewallHost(backend);
    await on.filter.scaffold();
  });
  afterEach(() => on[Symbol.asyncDispose]());

  const element = (verb: 'add' | 'delete', table: string, set: string, text: string) =>
    on.filter.nft(`${verb} element ${table} ${set} { ${text} }`);

  it('an element stays while a rule of any namespace has it', async () => {
    const { store, edit } = await on.start();
    const shop = withId({ ...web, namespace: 'shop' });
    await edit(allow(web, shop));
    expect(await on.inGuard()).toEqual([elementOf(web)]);
    await edit(revoke(web.id));
    await on.expectEverywhere([shop]);
    expect(await on.inGuard()).toEqual([elementOf(shop)]);
    await edit([...revoke(shop.id), ...allow(web)]);
    expect(await on.inGuard()).toEqual([elementOf(web)]);
    await edit(revoke(web.id, shop.id));
    expect(await on.inGuard()).toEqual([]);
    expect(store.state()).toMatchObject({ rules: { guard: 0 }, drift: noDrift });
  });

  it('every form of a rule has its set', async () => {
    const { store, edit } = await on.start();
    const forms = [
      web,
      withId({ ...web, proto: 'udp', port: 0 }),
      withId({ ...web, proto: '', port: 0 }),
      withId({ ...web, proto: 'udp', port: 65_535 }),
    ];
    await edit(allow(...forms));
    await on.expectEverywhere(forms);
    expect(store.state()).toMatchObject({ rules: { guard: 4 }, drift: noDrift });
    await edit(revoke(...ids(forms.slice(1))));
    await on.expectEverywhere([web]);
  });

  it.each(tables)(
    'what somebody takes from %s is reported, stays out, and reconcile puts it back',
    async table => {
      const { store, edit } = await on.start();
      await edit(allow(web, ruleNumber(1)));
      await element('delete', table, 'allowed_ports', elementOf(web));
      await soon(async () => {
        await store.refresh();
        expect(store.state().drift).toMatchObject({ modelOnly: [web.id], planesDiffer: [web.id] });
      });
      await edit(allow(ruleNumber(2)));
      expect(await on.filter.nft('list', 'table', ...table.split(' '))).not.toContain(elementOf(web));
      await store.restoreVanished();
      expect(store.state().drift.modelOnly).toEqual([web.id]);
      await store.reconcile();
      await on.expectEverywhere([web, ruleNumber(1), ruleNumber(2)]);
      expect(store.state().drift).toEqual(noDrift);
    },
  );

  it('what somebody adds is named as the rule that it would be, and goes by it or by reconcile', async () => {
    const { store, edit } = await on.start();
    await edit(allow(ruleNumber(1)));
    const theirs = withId({ ...web, port: 81 });
    for (const table of tables) {
      await element('add', table, 'allowed_ports', elementOf(web));
      await element('add', table, 'allowed_ports', elementOf(theirs));
    }
    await soon(() => expect(store.state().drift.kernelOnly.sort()).toEqual(ids([web, theirs])));
    await edit(revoke(web.id));
    expect(store.state().drift.kernelOnly).toEqual([theirs.id]);
    await store.reconcile();
    await on.expectEverywhere([ruleNumber(1)]);
    expect(store.state().drift).toEqual(noDrift);
  });

  it('an element that somebody adds with a comment is the same, and one that cannot be a rule is reported unchanged', async () => {
    const { store, edit } = await on.start();
    await edit(allow(ruleNumber(1)));
    for (const table of tables) {
      await element('add', table, 'allowed_ports', `${elementOf(web)} comment "by hand, for now"`);
      await element('add', table, 'allowed_protocols', `${web.src} . ${web.dst} . icmp comment "ping"`);
    }
    await soon(async () => {
      await store.refresh();
      expect(store.state().drift.kernelOnly).toEqual([web.id]);
      expect(store.state().foreign).toEqual(
        tables.map(table => ({
          plane: 'guard',
          text: `${table}: ${web.src} . ${web.dst} . icmp comment "ping"`,
        })),
      );
    });
    await edit(allow(web));
    await edit(revoke(web.id));
    expect(await on.filter.nft('list', 'table', 'inet', 'coolify_guard')).not.toContain(elementOf(web));
  });

  it('a guard that comes to a host which has rules gets them when coold starts', async () => {
    await on.filter.nft('delete', 'table', 'inet', 'coolify_guard');
    for (const set of ['allowed_hosts', 'allowed_protocols', 'allowed_ports'])
      await on.filter.nft('delete', 'set', 'bridge', 'coolify_bridge', set);
    const first = await on.start();
    await first.edit(allow(web, ruleNumber(1)));
    expect(first.store.state()).toMatchObject({ rules: { guard: 0 }, drift: noDrift });
    await first.stop();
    await on.filter.nft(
      'add table inet coolify_guard; ' +
        'add set inet coolify_guard allowed_hosts { type ipv4_addr . ipv4_addr; }; ' +
        'add set inet coolify_guard allowed_protocols { type ipv4_addr . ipv4_addr . inet_proto; }; ' +
        'add set inet coolify_guard allowed_ports { type ipv4_addr . ipv4_addr . inet_proto . inet_service; }',
    );
    const { store } = await on.start();
    await on.expectEverywhere([web, ruleNumber(1)]);
    expect(store.state()).toMatchObject({ rules: { guard: 2 }, drift: noDrift });
  });

  it('at boot, coolify-mesh-allow.service fills every plane from the snapshots, by exact lines alone', async () => {
    const forms = [
      web,
      withId({ ...web, namespace: 'shop' }),
      withId({ ...web, proto: 'udp', port: 0 }),
      withId({ ...web, proto: '', port: 0 }),
    ];
    const first = await on.start();
    await first.edit(allow(...forms));
    await first.stop();
    await on.filter.nft('flush', 'ruleset');
    await on.filter.iptables('-F');
    await on.filter.iptables('-X');
    await on.filter.scaffold();
    const bogus = [
      'add rule bridge coolify_bridge coolify_allow meta protocol ip ip saddr 10.9.9.9 ip daddr 10.9.9.8 accept comment "mine"',
      'add rule bridge coolify_bridge coolify_allow meta protocol ip ip saddr 10.9.9.9 ip daddr 10.9.9.7 drop comment "cid:0123456789ab:x"',
    ];
    const snapshot = await readFile(on.file('allow.nft'), 'utf8');
    await writeFile(on.file('allow.nft'), `${snapshot}${bogus.join('\n')}\n`);
    for (let time = 0; time < 2; time += 1) {
      await on.filter.netns.exec('sh', [restoreScript, on.file('allow.rules'), on.file('allow.nft')]);
      expect(await on.inIptables()).toEqual(ids(forms));
      expect(await on.inGuard()).toEqual([...new Set(forms.map(elementOf))].sort());
    }
    await writeFile(on.file('allow.nft'), snapshot);
    await on.filter.netns.exec('sh', [restoreScript, on.file('allow.rules'), on.file('allow.nft')]);
    await on.expectEverywhere(forms);
    const { store } = await on.start();
    expect(store.state()).toMatchObject({ drift: noDrift, foreign: [] });
  });

  it('a starting coold does not restore what somebody removed from the guard while it was stopped', async () => {
    const first = await on.start();
    await first.edit(allow(web, ruleNumber(1)));
    await first.stop();
    for (const table of tables) await element('delete', table, 'allowed_ports', elementOf(web));
    const { store } = await on.start();
    expect(store.state().drift).toMatchObject({ modelOnly: [web.id], planesDiffer: [web.id] });
  });

  it('an emptied packet filter gets its former rules again once the deny is back, and only then', async () => {
    const { store, edit } = await on.start();
    const rules = [web, ruleNumber(1), ruleNumber(2)];
    await edit(allow(...rules));
    await on.filter.nft('flush', 'ruleset');
    if (backend === 'legacy') {
      await on.filter.iptables('-F');
      await on.filter.iptables('-X');
    }
    await soon(async () => {
      await store.refresh();
      expect(store.state().rules).toMatchObject({ iptables: 0, nft: 0, guard: 0 });
    });
    await edit(revoke(ruleNumber(2).id));
    await on.filter.iptables('-N', 'COOLIFY-ALLOW').catch(() => '');
    await on.filter.iptables('-F', 'COOLIFY-ALLOW');
    await on.filter.nft('add', 'table', 'bridge', 'coolify_bridge');
    await on.filter.iptables('-X', 'COOLIFY-ALLOW');
    await on.filter.nft('delete', 'table', 'bridge', 'coolify_bridge');
    await on.filter.scaffold();
    expect(await on.inIptables()).toEqual([]);
    await store.restoreVanished();
    await on.expectEverywhere([web, ruleNumber(1)]);
    expect(store.state().drift).toEqual(noDrift);
  });

  it('what went with its table is brought back into it, and not forgotten while the table is gone', async () => {
    const { store, edit } = await on.start();
    await edit(allow(web, ruleNumber(1)));
    for (const table of tables) await on.filter.nft('delete', 'table', ...table.split(' '));
    await soon(async () => {
      await store.refresh();
      expect(store.state().rules).toMatchObject({ iptables: 2, nft: 0, guard: 0 });
    });
    // As after a look at the deny that was made just before the tables went.
    await store.restoreVanished();
    await on.filter.nftTables();
    await store.restoreVanished();
    await on.expectEverywhere([web, ruleNumber(1)]);
    expect(store.state().drift).toEqual(noDrift);
  });

  it('a chain that is emptied, or loses one rule, is not refilled automatically', async () => {
    const { store, edit } = await on.start();
    await edit(allow(web, ruleNumber(1)));
    await on.filter.iptables('-F', 'COOLIFY-ALLOW');
    await on.filter.nft('flush', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow');
    await on.filter.nft('flush', 'set', 'inet', 'coolify_guard', 'allowed_ports');
    await soon(async () => {
      await store.refresh();
      expect(store.state().rules).toMatchObject({ iptables: 0, nft: 0 });
    });
    await store.restoreVanished();
    expect(await on.inIptables()).toEqual([]);
    expect(await on.inNft()).toEqual([]);
    expect(store.state().drift.modelOnly.sort()).toEqual(ids([web, ruleNumber(1)]));
  });
});

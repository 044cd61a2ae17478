// What follows thousands of rules that came or went at once, while they are still being announced: real iptables and nft.
// Needs root.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { allow, type FirewallHost, ids, openFirewallHost, revoke, web } from '../../../test/firewall-host.ts';
import { ruleNumber } from '../../../test/rule-examples.ts';

/** Each is announced four times; it takes the slow monitor some seconds. */
const rules = Array.from({ length: 4000 }, (_, n) => ruleNumber(n));

let on: FirewallHost;
beforeEach(async () => {
  on = await openFirewallHost('nft');
  await on.filter.scaffold();
});
afterEach(() => on[Symbol.asyncDispose]());

it('a change right behind a large one waits for what is announced of that, and lists nothing', async () => {
  await on.filter.slowMonitor();
  const { store } = await on.start({ announcedMs: 300 });
  await store.edit(allow(...rules), { alone: true });
  await on.filter.break('iptables', 'cannot list');
  expect(await store.edit(allow(web))).toEqual({ added: 1, removed: 0, total: 4001 });
  expect(await store.edit(revoke(web.id))).toEqual({ added: 0, removed: 1, total: 4000 });
  await store.edit(revoke(...ids(rules)), { alone: true });
  expect(await store.edit(allow(web))).toEqual({ added: 1, removed: 0, total: 1 });
  await on.filter.repair('iptables');
  await on.expectEverywhere([web]);
});

it('a change right behind a large one is done before that is announced, and leaves no proof behind', async () => {
  // Announced is that something large began, and never how it ended.
  await on.filter.muteMonitor(5000);
  const { store } = await on.start({ announcedMs: 300 });
  await store.edit(allow(...rules), { alone: true });
  await on.filter.break('iptables', 'cannot list');
  expect(await store.edit(allow(web))).toEqual({ added: 1, removed: 0, total: 4001 });
  await on.filter.repair('iptables');
  await on.expectEverywhere([...rules, web]);
  await store.refresh(); // takes its turn after what a change leaves to tidy
  expect(await on.filter.iptables('-S')).not.toContain('PROOF');
  expect(await on.filter.nft('list', 'ruleset')).not.toContain('proof');
});

it.each(['iptables', 'iptables-restore', 'nft'] as const)(
  'a change right after a large one is verified against the kernel: %s only pretends',
  async program => {
    // As above: what the first change did is not announced to its end while the next one is made.
    await on.filter.muteMonitor(5000);
    const { store } = await on.start({ announcedMs: 300 });
    await store.edit(allow(...rules), { alone: true });
    await on.filter.break(program, 'lies');
    const edit = store.edit(allow(web));
    // iptables itself is not asked for it.
    if (program === 'iptables') await edit;
    else await expect(edit).rejects.toThrow('it was done, and it was not');
    await on.filter.repair(program);
    await store.refresh();
    await on.expectEverywhere(program === 'iptables' ? [...rules, web] : rules);
  },
);

it('a large change is verified against the kernel, also when nft pretends since the one before, whose proof it had to remove', async () => {
  const { store } = await on.start();
  await on.filter.break('nft', 'lies after one change');
  const some = rules.slice(0, 600);
  await store.edit(allow(...some), { alone: true });
  await store.refresh(); // takes its turn after what a change leaves to tidy
  await expect(store.edit(revoke(...ids(some)), { alone: true })).rejects.toThrow(
    'nft said it was done, and it was not',
  );
  await on.filter.repair('nft');
  await store.refresh();
  await on.expectEverywhere(some);
});

// What follows thousands of rules that came or went at once, while they are still being announced: real iptables and nft.
// Needs root.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ruleNumber } from './rule-examples.ts';
import { allow, type FirewallHost, ids, openFirewallHost, revoke, web } from './testing.ts';

/** Each is announced four times; it takes the slow monitor some seconds. */
const rules = Array.from({ length: 4000 }, (_, n) => ruleNumber(n));

let on: FirewallHost;
beforeEach(async () => {
  on = await openFirewallHost('nft');
  await on.filter.scaffold();
  await on.filter.slowMonitor();
});
afterEach(() => on[Symbol.asyncDispose]());

it('a change right behind a large one waits for what is announced of that, and lists nothing', async () => {
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

// A journal that cannot be removed is played: no disk can be had that takes a file and then refuses to lose it again.
import { createLogger } from '@coold/runtime';
import { soon } from '@coold/testbed/soon';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createJournal, type Journal } from './journal.ts';
import { createKernel } from './kernel.ts';
import { ruleNumber } from './rule-examples.ts';
import { createSnapshotFiles } from './snapshot-files.ts';
import { createStore } from './store.ts';
import { allow, chain, type FirewallHost, ids, noDrift, openFirewallHost, web } from './testing.ts';

const log = createLogger('coold', { level: 'off', components: new Map() }, false);
let on: FirewallHost;
beforeEach(async () => {
  on = await openFirewallHost('nft');
  await on.filter.scaffold();
});
afterEach(() => on[Symbol.asyncDispose]());

async function startWith(journal: Journal) {
  const kernel = createKernel({ chain, log });
  const files = createSnapshotFiles({ iptables: on.file('allow.rules'), nft: on.file('allow.nft') }, chain);
  const store = createStore({ ...{ chain, kernel, files, journal, log }, retryMs: 100 });
  const stopping = new AbortController();
  const following = Promise.withResolvers<void>();
  const followed = kernel.follow(stopping.signal, following.resolve);
  await following.promise;
  const loaded = Promise.withResolvers<void>();
  const run = store.run(stopping.signal, loaded.resolve);
  on.defer(async () => {
    stopping.abort();
    await Promise.all([followed, run]);
  });
  await loaded.promise;
  return store;
}

it('a change that is done is acknowledged, also when its journal stays', async () => {
  const journal = createJournal(on.file('allow.pending'));
  const store = await startWith({ ...journal, finish: () => Promise.reject(new Error('EIO')) });
  expect(await store.edit(allow(web))).toMatchObject({ added: 1 });
  expect(await store.edit(allow(ruleNumber(1)))).toMatchObject({ added: 1 });
  expect(store.state()).toMatchObject({ drift: noDrift, unfinished: undefined });
  expect(await on.inIptables()).toEqual(ids([web, ruleNumber(1)]));
});

it('a change that was refused leaves no journal that a restart would complete, as soon as it can be removed', async () => {
  const journal = createJournal(on.file('allow.pending'));
  let broken = true;
  const store = await startWith({
    ...journal,
    forget: () => (broken ? Promise.reject(new Error('EIO')) : journal.forget()),
  });
  await on.filter.break('nft', 'refuses');
  await expect(store.edit(allow(web, ruleNumber(1)))).rejects.toMatchObject({
    ...{ code: 503, message: expect.stringContaining('no, says nft') },
  });
  await on.filter.repair('nft');
  expect(store.state().unfinished).toBeDefined();
  broken = false;
  await soon(() => expect(store.state().unfinished).toBeUndefined());
  expect(await journal.read()).toBeUndefined();
  expect(await on.inIptables()).toEqual([]);
});

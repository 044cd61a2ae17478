// A journal that cannot be removed is played: no disk can be had that takes a file and then refuses to lose it again.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { soon } from '@coold/testbed/soon';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  allow,
  chain,
  type FirewallHost,
  ids,
  noDrift,
  openFirewallHost,
  web,
} from '../../../test/firewall-host.ts';
import { ruleNumber } from '../../../test/rule-examples.ts';
import { createKernel } from '../planes/follow/kernel.ts';
import { createJournal, type Journal } from './journal.ts';
import { createSnapshotFiles } from './snapshot-files.ts';
import { createStore } from './store.ts';

const log = createLogger('coold', { level: 'off', components: new Map() }, false);
let on: FirewallHost;
beforeEach(async () => {
  on = await openFirewallHost('nft');
  await on.filter.scaffold();
});
afterEach(() => on[Symbol.asyncDispose]());

const filesIn = (folder: string) =>
  createSnapshotFiles({ iptables: join(folder, 'allow.rules'), nft: join(folder, 'allow.nft') }, chain);

async function startWith(journal: Journal, files = filesIn(on.etc)) {
  const kernel = createKernel({ chain, log, toolTimeoutMs: 1500 });
  const store = createStore({ chain, kernel, files, journal, log, retryMs: 100 });
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
    code: 503,
    message: expect.stringContaining('no, says nft'),
  });
  await on.filter.repair('nft');
  expect(store.state().unfinished).toBeDefined();
  broken = false;
  await soon(() => expect(store.state().unfinished).toBeUndefined());
  expect(await journal.read()).toBeUndefined();
  expect(await on.inIptables()).toEqual([]);
});

it('a disk that becomes read-only within a change leaves nothing of it in the kernel, and the files follow later', async () => {
  const disk = join(on.etc, 'disk');
  await mkdir(disk);
  const mount = async (...args: string[]) =>
    expect(await runChild('mount', args, { timeoutMs: 5000 })).toMatchObject({ code: 0 });
  await mount('-t', 'tmpfs', 'disk', disk);
  on.defer(async () => void (await runChild('umount', ['-l', disk], { timeoutMs: 5000 })));
  const files = filesIn(disk);
  let fails = false;
  const journal = createJournal(join(disk, 'allow.pending'));
  const store = await startWith(journal, {
    ...files,
    async stage(text) {
      const staged = await files.stage(text);
      const commit = async () => {
        if (fails) await mount('-o', 'remount,ro', disk);
        await staged.commit();
      };
      return { ...staged, commit };
    },
  });
  await store.edit(allow(web));
  fails = true;
  await expect(store.edit(allow(ruleNumber(1)))).rejects.toMatchObject({
    code: 503,
    message: expect.stringMatching(/EROFS.*could not be taken back/),
  });
  expect(await on.inIptables()).toEqual([web.id]);
  expect(await on.inNft()).toEqual([web.id]);
  expect(store.state().unfinished).toBeDefined();
  fails = false;
  await mount('-o', 'remount,rw', disk);
  await soon(() => expect(store.state().unfinished).toBeUndefined());
  expect(await journal.read()).toBeUndefined();
  expect((await files.read()).rules).toEqual([web]);
  expect(store.state().drift).toEqual(noDrift);
});

it.each(['nft', 'iptables'] as const)(
  'what %s did before it was killed is not said to be known',
  async program => {
    const store = await startWith(createJournal(on.file('allow.pending')));
    // It has done its work, and does not end.
    await on.filter.follow(program, 'exec sleep 600');
    await expect(store.edit(allow(web))).rejects.toMatchObject({
      message: expect.stringMatching(new RegExp(`killed after.*what ${program} did of it is unknown`)),
    });
    expect(store.state().unfinished).toBeDefined();
    await on.filter.repair(program);
    await soon(() => expect(store.state().unfinished).toBeUndefined());
    expect(await on.inIptables()).toEqual([]);
    expect(await on.inNft()).toEqual([]);
  },
);

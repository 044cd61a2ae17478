import { readdir, stat } from 'node:fs/promises';
import { soon } from '@coold/testbed/soon';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  allow,
  chain,
  type FirewallHost,
  ids,
  noDrift,
  openFirewallHost,
  revoke,
  web,
} from '../../test/firewall-host.ts';
import { ruleNumber } from '../../test/rule-examples.ts';
import { iptablesArgs } from './rule/iptables-rule.ts';
import { nftLine } from './rule/nft-rule.ts';
import type { Rule } from './rule/rule.ts';
import { compareRules, withId } from './rule/rule.ts';

describe.each(['nft', 'legacy'] as const)('with iptables-%s', backend => {
  let on: FirewallHost;
  beforeEach(async () => {
    on = await openFirewallHost(backend);
  });
  afterEach(() => on[Symbol.asyncDispose]());

  it('a rule comes and goes in both planes and both files', async () => {
    await on.filter.scaffold();
    const { store, edit } = await on.start();
    expect(await readdir(on.etc), 'a start writes nothing').toEqual(['allow.lock']);
    expect(await edit(allow(web))).toEqual({ added: 1, removed: 0, total: 1 });
    await on.expectEverywhere([web]);
    expect((await stat(on.file('allow.rules'))).mode & 0o777).toBe(0o600);
    expect((await stat(on.file('allow.nft'))).mode & 0o777).toBe(0o600);
    expect(await edit(allow(web)), 'again').toEqual({ added: 0, removed: 0, total: 1 });
    await on.expectEverywhere([web]);
    expect(store.rules()).toEqual([web]);
    expect(store.state()).toMatchObject({ mode: 'enforcing', drift: noDrift, lastError: undefined });
    expect(await edit(revoke(web.id))).toEqual({ added: 0, removed: 1, total: 0 });
    expect(await edit(revoke(web.id)), 'again').toEqual({ added: 0, removed: 0, total: 0 });
    await on.expectEverywhere([]);
  });

  it('who asks right after a start waits for the first look, with the rules or without', async () => {
    await on.filter.scaffold();
    const first = await on.start();
    await first.edit(allow(web));
    await first.stop();
    const { store } = await on.start({ isExpected: false });
    expect(() => store.rules()).toThrow(expect.objectContaining({ code: 503 }));
    await store.whenRead();
    expect(store.rules()).toEqual([web]);
    await store.whenRead();
  });

  it('many are added and removed at once, together or separately', async () => {
    await on.filter.scaffold();
    const { store, edit } = await on.start();
    const rules = Array.from({ length: 200 }, (_, n) => ruleNumber(n));
    const answers = await Promise.all(rules.slice(0, 100).map(rule => edit(allow(rule))));
    expect(answers.every(({ added }) => added === 1)).toBe(true);
    await on.expectEverywhere(rules.slice(0, 100));
    const bulk = [...allow(...rules.slice(50)), ...revoke(...ids(rules.slice(0, 30)))];
    expect(await store.edit(bulk, { alone: true })).toEqual({ added: 100, removed: 30, total: 170 });
    await on.expectEverywhere(rules.slice(30));
    expect(store.rules()).toEqual(rules.slice(30).sort(compareRules));
    await Promise.all(rules.slice(30, 130).map(({ id }) => edit(revoke(id))));
    await on.expectEverywhere(rules.slice(130));
    const both = [edit(allow(web)), edit(revoke(web.id)), edit(revoke(web.id)), edit(allow(web))];
    expect(await Promise.all(both)).toMatchObject([
      { added: 1 },
      { removed: 1 },
      { removed: 0 },
      { added: 1 },
    ]);
    await on.expectEverywhere([...rules.slice(130), web]);
    expect(store.state().drift).toEqual(noDrift);
  });

  it('rules that exist at its start are left unchanged, and known', async () => {
    await on.filter.scaffold();
    const first = await on.start();
    await first.edit(allow(web, ruleNumber(1)));
    await first.stop();
    await on.expectEverywhere([web, ruleNumber(1)]);
    const { store, edit } = await on.start();
    expect(store.rules().map(({ id }) => id)).toEqual(
      [web, ruleNumber(1)].sort(compareRules).map(({ id }) => id),
    );
    expect(store.state().drift).toEqual(noDrift);
    await edit(revoke(web.id));
    await on.expectEverywhere([ruleNumber(1)]);
  });

  it('two rules of one flow, in two namespaces, are two', async () => {
    await on.filter.scaffold();
    const { edit } = await on.start();
    const shop = withId({ ...web, namespace: 'shop' });
    await edit(allow(web));
    await edit(allow(shop));
    await edit(revoke(web.id));
    await on.expectEverywhere([shop]);
    await edit(allow(web));
    await edit(revoke(shop.id));
    await on.expectEverywhere([web]);
  });

  it('what others put into the chains is reported and stays', async () => {
    await on.filter.scaffold();
    const theirs = ['-s', '10.9.9.9/32', '-m', 'comment', '--comment', 'by "hand"', '-j', 'ACCEPT'];
    await on.filter.iptables('-A', chain, ...theirs);
    await on.filter.nft(
      'add',
      'rule',
      'bridge',
      'coolify_bridge',
      'coolify_allow',
      'ip',
      'saddr',
      '10.9.9.9',
      'accept',
    );
    const old = ['-s', web.src, '-d', web.dst, '-p', 'tcp', '--dport', '80', '-m', 'comment'];
    await on.filter.iptables('-A', chain, ...old, '--comment', `cid:${web.id}`, '-j', 'ACCEPT');
    const { store, edit } = await on.start();
    expect(store.rules(), 'an old comment').toEqual([web]);
    expect(store.state().foreign.map(({ plane }) => plane)).toEqual(['iptables', 'nft']);
    expect(store.state().foreign[0]?.text).toContain('by \\"hand\\"');
    await edit(allow(ruleNumber(1), web));
    await store.reconcile();
    expect(await on.inIptables()).toEqual(ids([web, ruleNumber(1)]));
    await edit(revoke(web.id, ruleNumber(1).id));
    await on.expectEverywhere([]);
    expect(await on.filter.iptables('-S', chain)).toContain('10.9.9.9');
    expect(await on.filter.nft('list', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow')).toContain(
      '10.9.9.9',
    );
  });

  it('a host without a scaffold has one plane, and both files', async () => {
    const { store, edit } = await on.start();
    await edit(allow(web));
    await edit(allow(ruleNumber(1)));
    expect(await on.inIptables()).toEqual(ids([web, ruleNumber(1)]));
    expect(await on.filter.nft('list', 'tables', 'bridge')).toBe('');
    await on.expectFiles([web, ruleNumber(1)]);
    expect(store.state()).toMatchObject({ mode: 'permissive', drift: noDrift });
    await store.reconcile();
    await edit(revoke(web.id));
    expect(await on.inIptables()).toEqual([ruleNumber(1).id]);
    // The scaffold comes while it serves: the other plane is one of ours from then on.
    await on.filter.nft('add', 'table', 'bridge', 'coolify_bridge');
    await soon(async () => {
      await store.refresh();
      expect(store.state().mode).toBe('enforcing');
    });
    await edit(allow(web));
    expect(store.state()).toMatchObject({ drift: { planesDiffer: [ruleNumber(1).id] } });
    await store.reconcile();
    await on.expectEverywhere([web, ruleNumber(1)]);
  });

  it('a chain that was flushed by hand is noticed, and restored only on request', async () => {
    await on.filter.scaffold();
    const { store, edit } = await on.start();
    const rules = [web, ruleNumber(1), ruleNumber(2)];
    await edit(allow(...rules));
    await on.filter.iptables('-F', chain);
    await soon(async () => {
      await store.refresh();
      expect(store.state().drift.modelOnly.sort()).toEqual(ids(rules));
    });
    expect(await on.inIptables()).toEqual([]);
    // One change later it is still not overwritten: neither opened again nor forgotten.
    await edit(allow(ruleNumber(3)));
    expect(await on.inIptables()).toEqual([ruleNumber(3).id]);
    expect(store.state().drift.planesDiffer.sort()).toEqual(ids(rules));
    await on.filter.nft('flush', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow');
    await soon(() => expect(store.state().rules.nft).toBe(0));
    await edit(allow(web));
    expect(await on.inNft()).toEqual([web.id]);
    await store.reconcile();
    await on.expectEverywhere([...rules, ruleNumber(3)]);
    expect(store.state().drift).toEqual(noDrift);
  });

  it('100 at once while networks come and go: each is answered and in place', async () => {
    await on.filter.scaffold();
    const { store, edit } = await on.start();
    const rules = Array.from({ length: 100 }, (_, n) => ruleNumber(n));
    let over = false;
    // What netavark does for a network, in the same tables.
    const networks = (async () => {
      while (!over) {
        await on.filter.iptables('-N', 'NETAVARK_FORWARD');
        await on.filter.iptables('-A', 'NETAVARK_FORWARD', '-s', '10.210.0.0/24', '-j', 'ACCEPT');
        await on.filter.iptables('-I', 'FORWARD', '1', '-j', 'NETAVARK_FORWARD');
        await on.filter.iptables('-D', 'FORWARD', '-j', 'NETAVARK_FORWARD');
        await on.filter.iptables('-F', 'NETAVARK_FORWARD');
        await on.filter.iptables('-X', 'NETAVARK_FORWARD');
      }
    })();
    for (let n = 0; n < 100; n += 25)
      await Promise.all(rules.slice(n, n + 25).map(rule => edit(allow(rule))));
    for (const { id } of rules.slice(90)) await edit(revoke(id));
    over = true;
    await networks;
    await on.expectEverywhere(rules.slice(0, 90));
    await store.refresh();
    expect(store.state().drift).toEqual(noDrift);
  });

  it('flushed by hand among 100 at once: what was acknowledged is known, and reconcile puts it back', async () => {
    await on.filter.scaffold();
    const { store, edit } = await on.start();
    const rules = Array.from({ length: 100 }, (_, n) => ruleNumber(n));
    const flushes = [
      () => on.filter.iptables('-F', chain),
      () => on.filter.nft('flush', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow'),
      () => Promise.resolve(''),
    ];
    const done: Rule[] = [];
    for (let n = 0; n < 100; n += 10)
      await Promise.all([
        flushes[(n / 10) % 3]?.(),
        ...rules.slice(n, n + 10).map(rule =>
          edit(allow(rule)).then(
            () => done.push(rule),
            (error: unknown) => expect(error).toMatchObject({ code: 503 }),
          ),
        ),
      ]);
    expect(done.length).toBeGreaterThanOrEqual(30);
    await store.refresh();
    expect(ids(store.rules())).toEqual(ids(done));
    await store.reconcile();
    await on.expectEverywhere(done);
    expect(store.state()).toMatchObject({ drift: noDrift, unfinished: undefined });
  });

  it('a rule that somebody else adds or takes is drift, and a table that goes is noticed', async () => {
    await on.filter.scaffold();
    const { store, edit } = await on.start();
    await edit(allow(web));
    const [, , , , , ...line] = nftLine(ruleNumber(4)).split(' ');
    await on.filter.nft('add', 'rule', 'bridge', 'coolify_bridge', 'coolify_allow', ...line);
    await soon(() => expect(store.state().drift.kernelOnly).toEqual([ruleNumber(4).id]));
    expect(store.rules()).toEqual([web]);
    await edit(revoke(ruleNumber(4).id));
    expect(await on.inNft()).toEqual([web.id]);
    await on.filter.nft('delete', 'table', 'bridge', 'coolify_bridge');
    await soon(async () => {
      await store.refresh();
      expect(store.state().mode).toBe('permissive');
    });
    await edit(allow(ruleNumber(5)));
    await on.expectFiles([web, ruleNumber(5)]);
    await on.filter.iptables('-F', chain);
    await on.filter.iptables('-X', chain);
    await soon(async () => {
      await store.refresh();
      expect(store.state().rules.iptables).toBe(0);
    });
    await edit(allow(ruleNumber(6)));
    expect(await on.inIptables()).toEqual([ruleNumber(6).id]);
  });

  it('a rule that somebody removes right after it was added is drift, however many were added with it', async () => {
    await on.filter.scaffold();
    const { store, edit } = await on.start();
    await edit(allow(web));
    const [first, second] = [ruleNumber(1), ruleNumber(2)];
    const line = iptablesArgs(second).join(' ');
    await on.filter.follow('iptables-restore', `iptables -D ${chain} ${line}; iptables -S >/dev/null`);
    await edit(allow(first, second)).catch((error: unknown) => expect(error).toMatchObject({ code: 503 }));
    await on.filter.repair('iptables-restore');
    await soon(async () => {
      await store.refresh();
      expect(store.state().rules.iptables).toBe((await on.inIptables()).length);
    });
    await edit(allow(second));
    await on.expectEverywhere(store.rules());
    expect(store.rules()).toContainEqual(second);
    expect(store.state().drift).toEqual(noDrift);
  });

  it.each([
    ['ip saddr', 'ip source'],
    ['handle', 'hdl'],
    ['rule', 'filter-rule'],
  ])('an nft that says %j in other words, %j, costs listings and nothing else', async (from, to) => {
    await on.filter.scaffold();
    await on.filter.reword(from, to);
    // A day: what cannot be read is not waited for.
    const { store, edit } = await on.start({ announcedMs: 24 * 3600_000 });
    await edit(allow(web));
    await edit(allow(ruleNumber(1), ruleNumber(2)));
    await edit([...revoke(web.id), ...allow(ruleNumber(3))]);
    await on.expectEverywhere([ruleNumber(1), ruleNumber(2), ruleNumber(3)]);
    expect(store.state()).toMatchObject({ watched: true, drift: noDrift, lastError: undefined });
  });

  it('a second coold on the same host does not start', async () => {
    await on.filter.scaffold();
    const { edit } = await on.start();
    await expect(on.start({ lockWaitMs: 200 })).rejects.toThrow('another coold');
    await edit(allow(web));
    await on.expectEverywhere([web]);
  });
});

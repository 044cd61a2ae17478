import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  allow,
  type FirewallHost,
  ids,
  noDrift,
  openFirewallHost,
  type Running,
  revoke,
  web,
} from '../../../test/firewall-host.ts';
import { ruleNumber } from '../../../test/rule-examples.ts';
import { proofTable } from '../planes/nft-proof.ts';

describe.each(['nft', 'legacy'] as const)('with iptables-%s', backend => {
  let on: FirewallHost;
  beforeEach(async () => {
    on = await openFirewallHost(backend);
  });
  afterEach(() => on[Symbol.asyncDispose]());

  describe('when a program of the packet filter fails', () => {
    const rules = [web, ruleNumber(1)];
    let running: Running;
    beforeEach(async () => {
      await on.filter.scaffold();
      running = await on.start();
      await running.edit(allow(...rules));
    });

    it.each([
      ['nft', 'refuses', 'no, says nft'],
      ['nft', 'lies', 'nft said it was done'],
      ['nft', 'hangs', 'killed after'],
      ['nft', 'missing', 'is it installed'],
      ['iptables', 'refuses', 'no, says iptables'],
      ['iptables', 'lies', 'iptables said it was done'],
      ['iptables', 'hangs', 'killed after'],
      ['iptables', 'missing', 'is it installed'],
    ] as const)(
      '%s %s: nothing changes, and it works again afterwards',
      async (program, fault, says) => {
        const { edit, store } = running;
        await on.filter.break(program, fault);
        const failed = edit(allow(ruleNumber(7)));
        await expect(failed).rejects.toMatchObject({ code: 503, message: expect.stringContaining(says) });
        expect(store.state().lastError?.message).toContain(says);
        expect(store.rule(ruleNumber(7).id)).toBeUndefined();
        expect(await on.inIptables()).toEqual(ids(rules));
        expect(await on.inNft()).toEqual(ids(rules));
        await on.filter.repair(program);
        await edit(allow(ruleNumber(8)));
        await on.expectEverywhere([...rules, ruleNumber(8)]);
        expect(store.state()).toMatchObject({ unfinished: undefined, drift: noDrift });
      },
      60_000,
    );

    it('and coold with it: the next one takes back what was refused', async () => {
      await on.filter.break('nft', 'missing');
      await expect(running.edit(allow(ruleNumber(7)))).rejects.toMatchObject({ code: 503 });
      await running.stop();
      expect((await readdir(on.etc)).sort()).toContain('allow.pending.undo');
      await on.filter.repair('nft');
      const { store } = await on.start();
      await on.expectEverywhere(rules);
      expect(store.state()).toMatchObject({ unfinished: undefined, drift: noDrift });
    });

    it('while it starts: it serves nothing until it can be read, and then all', async () => {
      await running.stop();
      await on.filter.break('iptables', 'missing');
      const { store, edit } = await on.start();
      expect(() => store.rules()).toThrow(expect.objectContaining({ code: 503 }));
      await expect(edit(allow(ruleNumber(7)))).rejects.toMatchObject({ code: 503 });
      expect(store.state()).toMatchObject({ mode: 'unknown', lastError: { message: expect.any(String) } });
      await on.filter.repair('iptables');
      await edit(allow(ruleNumber(7)));
      await on.expectEverywhere([...rules, ruleNumber(7)]);
    });
  });

  describe('with many rules at once, which go to both planes together', () => {
    const many = Array.from({ length: 600 }, (_, n) => ruleNumber(n));
    const before = [web, ruleNumber(700)];
    let running: Running;
    beforeEach(async () => {
      await on.filter.scaffold();
      // What a coold leaves that was killed within such a change.
      await on.filter.nft('add', 'table', 'bridge', proofTable);
      running = await on.start();
      await running.edit(allow(...before));
    });
    const tables = async () => (await on.filter.nft('list', 'tables', 'bridge')).trim();

    it('they are everywhere, and nothing else is left', async () => {
      expect(await running.store.edit(allow(...many), { alone: true })).toMatchObject({ added: 600 });
      await on.expectEverywhere([...before, ...many]);
      expect(await tables()).toBe('table bridge coolify_bridge');
      expect(await running.edit(revoke(...ids(many)))).toMatchObject({ removed: 600 });
      await on.expectEverywhere(before);
      expect(running.store.state()).toMatchObject({ drift: noDrift });
    });

    it.each([
      ['nft', 'refuses', 'no, says nft'],
      ['nft', 'lies', 'nft said it was done'],
      ['nft', 'hangs at work', 'killed after'],
      ['iptables-restore', 'refuses', 'no, says iptables'],
      ['iptables-restore', 'lies', 'iptables said it was done'],
      ['iptables-restore', 'hangs at work', 'killed after'],
      ['iptables-restore', 'refuses at work', 'no, says iptables'],
      ['nft', 'refuses at work', 'no, says nft'],
    ] as const)(
      '%s %s: nothing changes, and it works again afterwards',
      async (program, fault, says) => {
        const { edit, store } = running;
        await on.filter.break(program, fault);
        await expect(edit(allow(...many))).rejects.toMatchObject({
          code: 503,
          message: expect.stringContaining(says),
        });
        expect(await on.inIptables()).toEqual(ids(before));
        expect(await on.inNft()).toEqual(ids(before));
        await on.filter.repair(program);
        await edit(allow(...many));
        await on.expectEverywhere([...before, ...many]);
        expect(store.state()).toMatchObject({ unfinished: undefined, drift: noDrift });
        expect(await tables()).toBe('table bridge coolify_bridge');
      },
      60_000,
    );
  });

  it('a disk that is full refuses a rule before the kernel has it', async () => {
    await on.filter.scaffold();
    const small = join(on.etc, 'small');
    await mkdir(small);
    const mount = (...args: string[]) => runChild('mount', args, { timeoutMs: 5000 });
    expect(await mount('-t', 'tmpfs', '-o', 'size=64k', 'small', small)).toMatchObject({ code: 0 });
    on.defer(async () => void (await runChild('umount', ['-l', small], { timeoutMs: 5000 })));
    const { store, edit } = await on.start({ folder: small });
    await edit(allow(web));
    await writeFile(join(small, 'filler'), Buffer.alloc(64 * 1024)).catch(() => {});
    await expect(edit(allow(ruleNumber(1)))).rejects.toMatchObject({
      code: 503,
      message: expect.stringContaining('ENOSPC'),
    });
    expect(await on.inIptables()).toEqual([web.id]);
    expect(await on.inNft()).toEqual([web.id]);
    expect(store.rules()).toEqual([web]);
    await writeFile(join(small, 'filler'), '');
    await edit(allow(ruleNumber(1)));
    expect(await on.inIptables()).toEqual(ids([web, ruleNumber(1)]));
    expect((await readdir(small)).sort()).toEqual(['allow.lock', 'allow.nft', 'allow.rules', 'filler']);
  });
});

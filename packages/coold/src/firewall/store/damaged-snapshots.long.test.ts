import { readdir, readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  allow,
  chain,
  type FirewallHost,
  filesOf,
  ids,
  noDrift,
  openFirewallHost,
  web,
} from '../../../test/firewall-host.ts';
import { ruleNumber } from '../../../test/rule-examples.ts';

describe.each(['nft', 'legacy'] as const)('with iptables-%s', backend => {
  let on: FirewallHost;
  beforeEach(async () => {
    on = await openFirewallHost(backend);
  });
  afterEach(() => on[Symbol.asyncDispose]());

  describe('snapshots that are not as they were left', () => {
    const rules = [web, ruleNumber(1)];
    beforeEach(async () => {
      await on.filter.scaffold();
      const { edit, stop } = await on.start();
      await edit(allow(...rules));
      await stop();
    });
    const cut = async (name: string) => {
      const text = await readFile(on.file(name), 'utf8');
      await writeFile(on.file(name), text.slice(0, -9));
    };

    it('one is truncated: rules in the kernel stay, the other file still counts, and reconcile repairs it', async () => {
      await cut('allow.rules');
      const { store } = await on.start();
      expect(store.rules()).toHaveLength(2);
      expect(store.state()).toMatchObject({
        snapshotProblem: expect.stringContaining('allow.rules'),
        drift: noDrift,
      });
      await store.reconcile();
      await on.expectEverywhere(rules);
      expect(store.state().snapshotProblem).toBeUndefined();
      expect(await readdir(on.etc)).toContain('allow.rules.damaged');
    });

    it("both are truncated: reconcile refuses, and the next change writes the kernel's rules and keeps the old files", async () => {
      await cut('allow.rules');
      await cut('allow.nft');
      const { store, edit } = await on.start();
      await expect(store.reconcile()).rejects.toMatchObject({
        code: 409,
        message: expect.stringContaining('allow.rules'),
      });
      expect(await on.inIptables()).toEqual(ids(rules));
      await edit(allow(ruleNumber(2)));
      await on.expectEverywhere([...rules, ruleNumber(2)]);
      expect(await readdir(on.etc)).toContain('allow.nft.damaged');
    });

    it('edited to say something else: reported, kept through other changes, done by reconcile', async () => {
      const edited = [web, ruleNumber(9)];
      const text = filesOf(edited);
      await writeFile(on.file('allow.rules'), text.iptables);
      await writeFile(on.file('allow.nft'), text.nft);
      await writeFile(on.file('.allow.rules.0123456789ab.tmp'), 'half');
      const { store, edit } = await on.start();
      expect(await on.inIptables(), 'a start opens and closes nothing').toEqual(ids(rules));
      expect(store.state().drift.snapshotDiffers.sort()).toEqual(ids([ruleNumber(1), ruleNumber(9)]));
      await edit(allow(ruleNumber(3)));
      expect(await on.inIptables()).toEqual(ids([...rules, ruleNumber(3)]));
      await store.reconcile();
      await on.expectEverywhere([...edited, ruleNumber(3)]);
      expect(store.rules()).toHaveLength(3);
    });

    it('edited while it serves: the next change keeps what was edited', async () => {
      const { store, edit } = await on.start();
      const text = filesOf([web]);
      await writeFile(on.file('allow.rules'), text.iptables);
      await writeFile(on.file('allow.nft'), text.nft);
      await edit(allow(ruleNumber(3)));
      expect(store.state().drift.snapshotDiffers).toEqual([ruleNumber(1).id]);
      await store.reconcile();
      await on.expectEverywhere([web, ruleNumber(3)]);
    });

    it("both are gone: the kernel's rules count", async () => {
      const { rm } = await import('node:fs/promises');
      await rm(on.file('allow.rules'));
      await rm(on.file('allow.nft'));
      const { store } = await on.start();
      expect(store.rules()).toHaveLength(2);
      await store.reconcile();
      await on.expectEverywhere(rules);
    });

    it('restore with the plain tools, and are then what coold finds', async () => {
      await on.filter.iptables('-F', chain);
      await on.filter.nft('flush', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow');
      await on.filter.netns.exec(`/usr/sbin/iptables-${backend}-restore`, [
        '--noflush',
        on.file('allow.rules'),
      ]);
      await on.filter.nft('-f', on.file('allow.nft'));
      const { store } = await on.start();
      expect(store.state().drift).toEqual(noDrift);
      await on.expectEverywhere(rules);
    });
  });
});

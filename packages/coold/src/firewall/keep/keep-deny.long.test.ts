// The default deny goes in every way that operators and other programs take it out, and comes back by itself: real iptables
// and nft. Needs root.
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { createChangeSignal } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
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
import { applyScaffold } from '../scaffold/apply-scaffold.ts';
import { readDesiredScaffold } from '../scaffold/desired-scaffold.ts';
import { createDefaultDeny } from './keep-deny.ts';

/** The deny is back within 2 s; a machine that has more to do than it has processors for is given longer. */
const isQuiet = () => (loadavg()[0] ?? 0) < availableParallelism();
const back = { timeout: 8000 };

describe.each(['nft', 'legacy'] as const)('with iptables-%s', backend => {
  let on: FirewallHost;
  beforeEach(async () => {
    on = await openFirewallHost(backend);
    await writeFile(
      on.file('mesh.env'),
      `COOLD_SCAFFOLD_SUBNETS=10.210.5.0/24\nCOOLD_SCAFFOLD_POOLS=10.210.0.0/16\nCOOLD_SCAFFOLD_JOINED_PATH=${join(on.etc, 'joined.subnets')}\n`,
    );
  });
  afterEach(() => on[Symbol.asyncDispose]());

  async function applyByHand() {
    const desired = await readDesiredScaffold(on.file('mesh.env'));
    if (desired.kind !== 'named') throw new Error(desired.kind);
    await applyScaffold({ ...desired.scaffold, joined: [] });
  }

  /** Everything that is denied by, but the rules that are exceptions to it. */
  async function denial(): Promise<string> {
    const listings = await Promise.all([
      on.filter.iptables('-S', 'FORWARD').catch(() => ''),
      on.filter.iptables('-S', 'COOLIFY-INTRA').catch(() => ''),
      on.filter.iptables('-t', 'nat', '-S').catch(() => ''),
      on.filter.nft('list', 'table', 'bridge', 'coolify_bridge').catch(() => ''),
      on.filter.nft('list', 'table', 'inet', 'coolify_guard').catch(() => ''),
    ]);
    return listings.join('').replaceAll(/counter packets \d+ bytes \d+/g, 'counter');
  }

  async function start() {
    await applyByHand();
    const whole = await denial();
    const running = await on.start();
    await soon(() => expect(running.deny.state()).toEqual({ kind: 'in place' }), back);
    return { ...running, whole };
  }

  it('a host that lacks what mesh.env names gets it when coold starts', async () => {
    const { store, deny } = await on.start();
    await soon(() => expect(deny.state()).toEqual({ kind: 'in place' }), back);
    expect(deny.repairs()).toBe(1);
    expect(await on.filter.iptables('-S', 'FORWARD')).toContain('-j COOLIFY-INTRA');
    await soon(async () => {
      await store.refresh();
      expect(store.state()).toMatchObject({ mode: 'enforcing', denyProblem: undefined });
    });
  });

  const ways: [string, () => Promise<unknown>][] = [
    ['nft flush ruleset', () => on.filter.nft('flush', 'ruleset')],
    ['iptables -F FORWARD', () => on.filter.iptables('-F', 'FORWARD')],
    ['iptables -F COOLIFY-INTRA', () => on.filter.iptables('-F', 'COOLIFY-INTRA')],
    ['iptables -t nat -F', () => on.filter.iptables('-t', 'nat', '-F')],
    ['nft delete table inet coolify_guard', () => on.filter.nft('delete', 'table', 'inet', 'coolify_guard')],
    [
      'nft flush chain inet coolify_guard to_container',
      () => on.filter.nft('flush', 'chain', 'inet', 'coolify_guard', 'to_container'),
    ],
    [
      'nft flush set inet coolify_guard local_subnets',
      () => on.filter.nft('flush', 'set', 'inet', 'coolify_guard', 'local_subnets'),
    ],
    [
      'nft flush chain bridge coolify_bridge coolify_intra',
      () => on.filter.nft('flush', 'chain', 'bridge', 'coolify_bridge', 'coolify_intra'),
    ],
  ];
  it.each(ways)('%s: the deny is back, and it is said that it was gone', async (_, take) => {
    const { store, deny, whole } = await start();
    const repairs = deny.repairs();
    await take();
    // Also with iptables-legacy, which announces nothing: there it is found by looking each second.
    const within = isQuiet() ? { timeout: 2000 } : back;
    const { mode } = await store.judgedState();
    if (backend === 'legacy')
      expect(mode === 'broken' || deny.repairs() > repairs, 'no status calls it well at any moment').toBe(
        true,
      );
    await soon(() => expect(deny.repairs()).toBeGreaterThan(repairs), within);
    await soon(() => expect(deny.state()).toEqual({ kind: 'in place' }), back);
    await soon(async () => expect(await denial()).toBe(whole), back);
    await soon(async () => {
      await store.refresh();
      expect(store.state()).toMatchObject({ mode: 'enforcing', drift: noDrift });
    });
  });

  it('an emptied packet filter has its allow rules again, and one that was taken out before stays out', async () => {
    const { store, edit, deny } = await start();
    await edit(allow(web, ruleNumber(1), ruleNumber(2)));
    await on.filter.nft(
      'delete',
      'element',
      'inet',
      'coolify_guard',
      'allowed_ports',
      `{ ${web.src} . ${web.dst} . tcp . 80 }`,
    );
    await soon(() => expect(store.state().drift.modelOnly).toEqual([web.id]));
    await edit(revoke(ruleNumber(2).id));
    await on.filter.nft('flush', 'ruleset');
    if (backend === 'legacy') {
      // Another program's restore, in one commit.
      await on.filter.netns.exec('sh', ['-c', 'echo "*filter\\nCOMMIT" | /usr/sbin/iptables-legacy-restore']);
    }
    await soon(() => expect(deny.repairs()).toBe(1), back);
    await soon(async () => expect(await on.inIptables()).toEqual([ruleNumber(1).id]), back);
    await soon(async () => expect(await on.inNft()).toEqual([ruleNumber(1).id]));
    await store.refresh();
    // The one whose element somebody took did not go at once with its chain.
    expect(store.state().drift.modelOnly).toEqual([web.id]);
    await store.reconcile();
    await on.expectEverywhere([web, ruleNumber(1)]);
  });

  it('a subnet that mesh.env does not name any more stays denied until the scaffold is restarted, also after a repair', async () => {
    const env = await readFile(on.file('mesh.env'), 'utf8');
    const two = env.replace('10.210.5.0/24', '10.210.5.0/24,10.210.6.0/24');
    await writeFile(on.file('mesh.env'), two);
    const { deny, whole } = await start();
    await writeFile(on.file('mesh.env'), env);
    await on.filter.iptables('-F', 'FORWARD');
    await soon(() => expect(deny.repairs()).toBe(1), back);
    await soon(() => expect(deny.state()).toEqual({ kind: 'in place', beyond: ['10.210.6.0/24'] }), back);
    expect(await denial()).toBe(whole);
    // As the unit does.
    await applyByHand();
    await soon(() => expect(deny.state()).toEqual({ kind: 'in place' }), back);
    expect(await denial()).not.toContain('10.210.6.0/24');
  });

  describe('a status', () => {
    /** A deny that is looked at when it is asked to, and never by itself. */
    async function unattended({ isAnnounced }: { isAnnounced: boolean }) {
      const changes = createChangeSignal();
      let looks = 0;
      const deny = createDefaultDeny({
        desiredPath: on.file('mesh.env'),
        changes,
        isWatched: () => isAnnounced,
        isAnnounced: () => isAnnounced,
        log: createLogger('coold', { level: 'off', components: new Map() }, false),
        onMissing: () => Promise.resolve(),
        onInPlace() {
          looks += 1;
        },
      });
      await applyByHand();
      await deny.repair();
      expect([deny.state().kind, deny.repairs()]).toEqual(['in place', 0]);
      return { changes, deny, looks: () => looks };
    }

    it('checks the deny on request, also while its change is not announced yet', async () => {
      const { deny } = await unattended({ isAnnounced: true });
      await on.filter.iptables('-F', 'FORWARD');
      expect(await deny.judge(5000)).toBe(true);
      expect([deny.state().kind, deny.repairs()]).toEqual(['in place', 1]);
    });

    it('checks it each time where changes are not announced', async () => {
      const { deny } = await unattended({ isAnnounced: false });
      await on.filter.iptables('-F', 'FORWARD');
      expect(await deny.judge(5000)).toBe(true);
      expect([deny.state().kind, deny.repairs()]).toEqual(['in place', 1]);
    });

    it('does not count a look that began before the change', async () => {
      const { changes, deny, looks } = await unattended({ isAnnounced: true });
      const list = await on.filter.delayListing();
      const looking = deny.repair();
      changes.announce();
      const judged = deny.judge(5000);
      const before = looks();
      await list();
      await looking;
      expect(await judged).toBe(true);
      expect(looks() - before).toBe(2);
    });

    it('reports that the check is under way when it takes longer', async () => {
      const { changes, deny } = await unattended({ isAnnounced: true });
      await on.filter.break('iptables', 'hangs');
      changes.announce();
      expect(await deny.judge(50)).toBe(false);
      await on.filter.repair('iptables');
    });
  });

  it('a kernel that could not be asked once is asked again', async () => {
    await on.filter.break('nft', 'missing');
    const { deny } = await on.start({ isExpected: false });
    await soon(() => expect(deny.state().kind).toBe('broken'), back);
    await on.filter.repair('nft');
    await deny.repair();
    expect(deny.state()).toEqual({ kind: 'in place' });
  });

  it('while it cannot be restored, everything reports it, and reconcile does not call it well', async () => {
    const { store, edit, deny } = await start();
    await edit(allow(web));
    await on.filter.break('iptables-restore', 'refuses');
    await on.filter.iptables('-F', 'FORWARD');
    await soon(() => expect(deny.state().kind).toBe('broken'), back);
    await soon(
      () =>
        expect(store.state()).toMatchObject({
          mode: 'broken',
          denyProblem: expect.stringMatching(/FORWARD.*cannot be restored.*no, says iptables/),
        }),
      back,
    );
    await expect(store.reconcile()).rejects.toMatchObject({
      reason: 'firewall_failed',
      message: expect.stringContaining('the default deny is not in place'),
    });
    await on.filter.repair('iptables-restore');
    await store.reconcile();
    expect(store.state()).toMatchObject({ mode: 'enforcing', drift: noDrift });
    expect(await on.filter.iptables('-S', 'FORWARD')).toContain('-j COOLIFY-INTRA');
    expect(ids(store.rules())).toEqual([web.id]);
  });

  it('a host that should have none is permissive and stays it', async () => {
    await writeFile(on.file('mesh.env'), '# nothing\n');
    const { store, deny, edit } = await on.start();
    await edit(allow(web));
    await soon(() => expect(deny.state()).toEqual({ kind: 'not wanted' }));
    await on.filter.nft('flush', 'ruleset');
    await soon(async () => {
      await store.refresh();
      expect(store.state().mode).toBe('permissive');
    });
    expect(deny.repairs()).toBe(0);
    expect(await on.filter.nft('list', 'tables', 'bridge')).toBe('');
  });
});

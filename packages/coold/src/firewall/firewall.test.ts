// The store against real iptables and nft, each backend in a network namespace of its own. Needs root.
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { createPacketFilter, type PacketFilter } from '@coold/testbed/packet-filter';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createFirewall } from './firewall.ts';
import { readIptablesLine } from './iptables-rule.ts';
import { nftLine } from './nft-rule.ts';
import { compareRules, type Rule, readRule, withId } from './rule.ts';
import { ruleNumber } from './rule-examples.ts';
import { changeSnapshot, renderSnapshot as renderLines } from './snapshot.ts';
import type { Counted, Edit, Store } from './store.ts';

const chain = 'COOLIFY-ALLOW';
const renderSnapshot = (...args: Parameters<typeof renderLines>) => {
  const { iptables, nft } = renderLines(...args);
  return { iptables: iptables.join(''), nft: nft.join('') };
};
const log = createLogger('coold', { level: 'off', components: new Map() }, false);
const toolTimeoutMs = 1500;
const machinePath = process.env['PATH'];
const web = readRule({ src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80 });
const ids = (rules: readonly Rule[]) => rules.map(({ id }) => id).sort();
const allow = (...rules: Rule[]): Edit[] => rules.map(rule => ({ kind: 'allow', rule }));
const revoke = (...wanted: string[]): Edit[] => wanted.map(id => ({ kind: 'revoke', id }));

interface Running {
  store: Store;
  edit(edits: Edit[]): Promise<Counted>;
  stop(): Promise<void>;
}

describe.each(['nft', 'legacy'] as const)('with iptables-%s', backend => {
  let cleanup: AsyncDisposableStack;
  let filter: PacketFilter;
  let etc: string;
  const file = (name: string) => join(etc, name);
  beforeEach(async () => {
    cleanup = new AsyncDisposableStack();
    const { path } = cleanup.use(await scratchFolder());
    filter = cleanup.use(await createPacketFilter(path, backend));
    etc = join(path, 'etc');
    await mkdir(etc);
    process.env['PATH'] = filter.path;
  });
  afterEach(async () => {
    process.env['PATH'] = machinePath;
    await cleanup.disposeAsync();
  });

  /** A coold's firewall, serving until it is stopped or the test is over. */
  async function start(options: { folder?: string; lockWaitMs?: number } = {}): Promise<Running> {
    const { folder = etc, ...rest } = options;
    const stopping = new AbortController();
    const paths = { rulesPath: join(folder, 'allow.rules'), bridgeRulesPath: join(folder, 'allow.nft') };
    const firewall = createFirewall({ chain, ...paths, log, toolTimeoutMs, ...rest });
    const loaded = Promise.withResolvers<void>();
    const kept = firewall.keep(loaded.resolve)(stopping.signal);
    const stop = async () => {
      stopping.abort();
      await kept;
    };
    cleanup.defer(() => stop().catch(() => {}));
    await Promise.race([loaded.promise, kept]);
    const { store } = firewall;
    return { store, stop, edit: edits => store.edit(edits) };
  }

  async function inIptables(): Promise<string[]> {
    const lines = (await filter.iptables('-S'))
      .split('\n')
      .flatMap(line => readIptablesLine(chain, line) ?? []);
    return lines.flatMap(({ standing }) => (standing.kind === 'rule' ? [standing.rule.id] : [])).sort();
  }
  async function inNft(): Promise<string[]> {
    const text = await filter.nft('list', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow');
    return [...text.matchAll(/cid:([0-9a-f]{12})/g)].map(([, id = '']) => id).sort();
  }
  async function expectEverywhere(rules: readonly Rule[]): Promise<void> {
    expect(await inIptables()).toEqual(ids(rules));
    expect(await inNft()).toEqual(ids(rules));
    await expectFiles(rules);
  }
  async function expectFiles(rules: readonly Rule[]): Promise<void> {
    const text = renderSnapshot(changeSnapshot([], chain, { add: rules, remove: new Set() }), chain);
    expect(await readFile(file('allow.rules'), 'utf8')).toBe(text.iptables);
    expect(await readFile(file('allow.nft'), 'utf8')).toBe(text.nft);
    expect((await readdir(etc)).filter(name => !name.endsWith('.damaged')).sort()).toEqual([
      ...['allow.lock', 'allow.nft', 'allow.rules'],
    ]);
  }
  const noDrift = { kernelOnly: [], modelOnly: [], planesDiffer: [], snapshotDiffers: [] };

  it('a rule comes and goes in both planes and both files', async () => {
    await filter.scaffold();
    const { store, edit } = await start();
    expect(await readdir(etc), 'a start writes nothing').toEqual(['allow.lock']);
    expect(await edit(allow(web))).toEqual({ added: 1, removed: 0, total: 1 });
    await expectEverywhere([web]);
    expect((await stat(file('allow.rules'))).mode & 0o777).toBe(0o600);
    expect((await stat(file('allow.nft'))).mode & 0o777).toBe(0o600);
    expect(await edit(allow(web)), 'again').toEqual({ added: 0, removed: 0, total: 1 });
    await expectEverywhere([web]);
    expect(store.rules()).toEqual([web]);
    expect(store.state()).toMatchObject({ mode: 'enforcing', drift: noDrift, lastError: undefined });
    expect(await edit(revoke(web.id))).toEqual({ added: 0, removed: 1, total: 0 });
    expect(await edit(revoke(web.id)), 'again').toEqual({ added: 0, removed: 0, total: 0 });
    await expectEverywhere([]);
  });

  it('many come and go at once, together or each by itself', async () => {
    await filter.scaffold();
    const { store, edit } = await start();
    const rules = Array.from({ length: 200 }, (_, n) => ruleNumber(n));
    const answers = await Promise.all(rules.slice(0, 100).map(rule => edit(allow(rule))));
    expect(answers.every(({ added }) => added === 1)).toBe(true);
    await expectEverywhere(rules.slice(0, 100));
    const bulk = [...allow(...rules.slice(50)), ...revoke(...ids(rules.slice(0, 30)))];
    expect(await store.edit(bulk, { alone: true })).toEqual({ added: 100, removed: 30, total: 170 });
    await expectEverywhere(rules.slice(30));
    expect(store.rules()).toEqual(rules.slice(30).sort(compareRules));
    await Promise.all(rules.slice(30, 130).map(({ id }) => edit(revoke(id))));
    await expectEverywhere(rules.slice(130));
    const both = [edit(allow(web)), edit(revoke(web.id)), edit(revoke(web.id)), edit(allow(web))];
    expect(await Promise.all(both)).toMatchObject([
      { added: 1 },
      { removed: 1 },
      { removed: 0 },
      { added: 1 },
    ]);
    await expectEverywhere([...rules.slice(130), web]);
    expect(store.state().drift).toEqual(noDrift);
  });

  it('what stands when it starts is left as it is, and known', async () => {
    await filter.scaffold();
    const first = await start();
    await first.edit(allow(web, ruleNumber(1)));
    await first.stop();
    await expectEverywhere([web, ruleNumber(1)]);
    const { store, edit } = await start();
    expect(store.rules().map(({ id }) => id)).toEqual(
      [web, ruleNumber(1)].sort(compareRules).map(({ id }) => id),
    );
    expect(store.state().drift).toEqual(noDrift);
    await edit(revoke(web.id));
    await expectEverywhere([ruleNumber(1)]);
  });

  it('two rules of one flow, in two namespaces, are two', async () => {
    await filter.scaffold();
    const { edit } = await start();
    const shop = withId({ ...web, namespace: 'shop' });
    await edit(allow(web));
    await edit(allow(shop));
    await edit(revoke(web.id));
    await expectEverywhere([shop]);
    await edit(allow(web));
    await edit(revoke(shop.id));
    await expectEverywhere([web]);
  });

  it('what others put into the chains is reported and stays', async () => {
    await filter.scaffold();
    const theirs = ['-s', '10.9.9.9/32', '-m', 'comment', '--comment', 'by "hand"', '-j', 'ACCEPT'];
    await filter.iptables('-A', chain, ...theirs);
    await filter.nft(
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
    await filter.iptables('-A', chain, ...old, '--comment', `cid:${web.id}`, '-j', 'ACCEPT');
    const { store, edit } = await start();
    expect(store.rules(), 'an old comment').toEqual([web]);
    expect(store.state().foreign.map(({ plane }) => plane)).toEqual(['iptables', 'nft']);
    expect(store.state().foreign[0]?.text).toContain('by \\"hand\\"');
    await edit(allow(ruleNumber(1), web));
    await store.reconcile();
    expect(await inIptables()).toEqual(ids([web, ruleNumber(1)]));
    await edit(revoke(web.id, ruleNumber(1).id));
    await expectEverywhere([]);
    expect(await filter.iptables('-S', chain)).toContain('10.9.9.9');
    expect(await filter.nft('list', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow')).toContain(
      '10.9.9.9',
    );
  });

  it('a host without a scaffold has one plane, and both files', async () => {
    const { store, edit } = await start();
    await edit(allow(web));
    await edit(allow(ruleNumber(1)));
    expect(await inIptables()).toEqual(ids([web, ruleNumber(1)]));
    expect(await filter.nft('list', 'tables', 'bridge')).toBe('');
    await expectFiles([web, ruleNumber(1)]);
    expect(store.state()).toMatchObject({ mode: 'permissive', drift: noDrift });
    await store.reconcile();
    await edit(revoke(web.id));
    expect(await inIptables()).toEqual([ruleNumber(1).id]);
    // The scaffold comes while it serves: the other plane is one of ours from then on.
    await filter.nft('add', 'table', 'bridge', 'coolify_bridge');
    await vi.waitFor(async () => {
      await store.refresh();
      expect(store.state().mode).toBe('enforcing');
    }, 10_000);
    await edit(allow(web));
    expect(store.state()).toMatchObject({ drift: { planesDiffer: [ruleNumber(1).id] } });
    await store.reconcile();
    await expectEverywhere([web, ruleNumber(1)]);
  });

  it('a chain that was flushed by hand is noticed, and put back only when somebody says so', async () => {
    await filter.scaffold();
    const { store, edit } = await start();
    const rules = [web, ruleNumber(1), ruleNumber(2)];
    await edit(allow(...rules));
    await filter.iptables('-F', chain);
    await vi.waitFor(
      async () => {
        await store.refresh();
        expect(store.state().drift.modelOnly.sort()).toEqual(ids(rules));
      },
      { timeout: 10_000 },
    );
    expect(await inIptables()).toEqual([]);
    // One change later it is still not overwritten: neither opened again nor forgotten.
    await edit(allow(ruleNumber(3)));
    expect(await inIptables()).toEqual([ruleNumber(3).id]);
    expect(store.state().drift.planesDiffer.sort()).toEqual(ids(rules));
    await filter.nft('flush', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow');
    await vi.waitFor(() => expect(store.state().rules.nft).toBe(0), 10_000);
    await edit(allow(web));
    expect(await inNft()).toEqual([web.id]);
    await store.reconcile();
    await expectEverywhere([...rules, ruleNumber(3)]);
    expect(store.state().drift).toEqual(noDrift);
  });

  it('100 at once while networks come and go: each is answered, and stands', async () => {
    await filter.scaffold();
    const { store, edit } = await start();
    const rules = Array.from({ length: 100 }, (_, n) => ruleNumber(n));
    let over = false;
    // What netavark does for a network, in the same tables.
    const networks = (async () => {
      while (!over) {
        await filter.iptables('-N', 'NETAVARK_FORWARD');
        await filter.iptables('-A', 'NETAVARK_FORWARD', '-s', '10.210.0.0/24', '-j', 'ACCEPT');
        await filter.iptables('-I', 'FORWARD', '1', '-j', 'NETAVARK_FORWARD');
        await filter.iptables('-D', 'FORWARD', '-j', 'NETAVARK_FORWARD');
        await filter.iptables('-F', 'NETAVARK_FORWARD');
        await filter.iptables('-X', 'NETAVARK_FORWARD');
      }
    })();
    for (let n = 0; n < 100; n += 25)
      await Promise.all(rules.slice(n, n + 25).map(rule => edit(allow(rule))));
    for (const { id } of rules.slice(90)) await edit(revoke(id));
    over = true;
    await networks;
    await expectEverywhere(rules.slice(0, 90));
    await store.refresh();
    expect(store.state().drift).toEqual(noDrift);
  });

  it('flushed by hand among 100 at once: what was acknowledged is known, and reconcile puts it back', async () => {
    await filter.scaffold();
    const { store, edit } = await start();
    const rules = Array.from({ length: 100 }, (_, n) => ruleNumber(n));
    const flushes = [
      () => filter.iptables('-F', chain),
      () => filter.nft('flush', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow'),
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
    await expectEverywhere(done);
    expect(store.state()).toMatchObject({ drift: noDrift, unfinished: undefined });
  });

  it('a rule that somebody else adds or takes is drift, and a table that goes is noticed', async () => {
    await filter.scaffold();
    const { store, edit } = await start();
    await edit(allow(web));
    const [, , , , , ...line] = nftLine(ruleNumber(4)).split(' ');
    await filter.nft('add', 'rule', 'bridge', 'coolify_bridge', 'coolify_allow', ...line);
    await vi.waitFor(() => expect(store.state().drift.kernelOnly).toEqual([ruleNumber(4).id]), {
      timeout: 10_000,
    });
    expect(store.rules()).toEqual([web]);
    await edit(revoke(ruleNumber(4).id));
    expect(await inNft()).toEqual([web.id]);
    await filter.nft('delete', 'table', 'bridge', 'coolify_bridge');
    await vi.waitFor(async () => {
      await store.refresh();
      expect(store.state().mode).toBe('permissive');
    }, 10_000);
    await edit(allow(ruleNumber(5)));
    await expectFiles([web, ruleNumber(5)]);
    await filter.iptables('-F', chain);
    await filter.iptables('-X', chain);
    await vi.waitFor(async () => {
      await store.refresh();
      expect(store.state().rules.iptables).toBe(0);
    }, 10_000);
    await edit(allow(ruleNumber(6)));
    expect(await inIptables()).toEqual([ruleNumber(6).id]);
  });

  describe('when a program of the packet filter fails', () => {
    const rules = [web, ruleNumber(1)];
    let running: Running;
    beforeEach(async () => {
      await filter.scaffold();
      running = await start();
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
        await filter.break(program, fault);
        const failed = edit(allow(ruleNumber(7)));
        await expect(failed).rejects.toMatchObject({
          code: 503,
          message: expect.stringContaining(says),
        });
        expect(store.state().lastError?.message).toContain(says);
        expect(store.rule(ruleNumber(7).id)).toBeUndefined();
        expect(await inIptables()).toEqual(ids(rules));
        expect(await inNft()).toEqual(ids(rules));
        await filter.repair(program);
        await edit(allow(ruleNumber(8)));
        await expectEverywhere([...rules, ruleNumber(8)]);
        expect(store.state()).toMatchObject({ unfinished: undefined, drift: noDrift });
      },
      60_000,
    );

    it('and coold with it: the next one takes back what was refused', async () => {
      await filter.break('nft', 'missing');
      await expect(running.edit(allow(ruleNumber(7)))).rejects.toMatchObject({ code: 503 });
      await running.stop();
      expect((await readdir(etc)).sort()).toContain('allow.pending.undo');
      await filter.repair('nft');
      const { store } = await start();
      await expectEverywhere(rules);
      expect(store.state()).toMatchObject({ unfinished: undefined, drift: noDrift });
    });

    it('while it starts: it serves nothing until it can be read, and then all', async () => {
      await running.stop();
      await filter.break('iptables', 'missing');
      const { store, edit } = await start();
      expect(() => store.rules()).toThrow(expect.objectContaining({ code: 503 }));
      await expect(edit(allow(ruleNumber(7)))).rejects.toMatchObject({ code: 503 });
      expect(store.state()).toMatchObject({ mode: 'unknown', lastError: { message: expect.any(String) } });
      await filter.repair('iptables');
      await edit(allow(ruleNumber(7)));
      await expectEverywhere([...rules, ruleNumber(7)]);
    });
  });

  it('a disk that is full refuses a rule before the kernel has it', async () => {
    await filter.scaffold();
    const small = join(etc, 'small');
    await mkdir(small);
    const { runChild } = await import('@coold/runtime');
    const mount = (...args: string[]) => runChild('mount', args, { timeoutMs: 5000 });
    expect(await mount('-t', 'tmpfs', '-o', 'size=64k', 'small', small)).toMatchObject({ code: 0 });
    cleanup.defer(async () => void (await runChild('umount', ['-l', small], { timeoutMs: 5000 })));
    const { store, edit } = await start({ folder: small });
    await edit(allow(web));
    await writeFile(join(small, 'filler'), Buffer.alloc(64 * 1024)).catch(() => {});
    await expect(edit(allow(ruleNumber(1)))).rejects.toMatchObject({
      code: 503,
      message: expect.stringContaining('ENOSPC'),
    });
    expect(await inIptables()).toEqual([web.id]);
    expect(await inNft()).toEqual([web.id]);
    expect(store.rules()).toEqual([web]);
    await writeFile(join(small, 'filler'), '');
    await edit(allow(ruleNumber(1)));
    expect(await inIptables()).toEqual(ids([web, ruleNumber(1)]));
    expect((await readdir(small)).sort()).toEqual(['allow.lock', 'allow.nft', 'allow.rules', 'filler']);
  });

  it('a second coold on the same host does not start', async () => {
    await filter.scaffold();
    const { edit } = await start();
    await expect(start({ lockWaitMs: 200 })).rejects.toThrow('another coold');
    await edit(allow(web));
    await expectEverywhere([web]);
  });

  describe('snapshots that are not as they were left', () => {
    const rules = [web, ruleNumber(1)];
    beforeEach(async () => {
      await filter.scaffold();
      const { edit, stop } = await start();
      await edit(allow(...rules));
      await stop();
    });
    const cut = async (name: string) => {
      const text = await readFile(file(name), 'utf8');
      await writeFile(file(name), text.slice(0, -9));
    };

    it('one that is cut: what stands stays, the other file still tells, and reconcile mends it', async () => {
      await cut('allow.rules');
      const { store } = await start();
      expect(store.rules()).toHaveLength(2);
      expect(store.state()).toMatchObject({
        snapshotProblem: expect.stringContaining('allow.rules'),
        drift: noDrift,
      });
      await store.reconcile();
      await expectEverywhere(rules);
      expect(store.state().snapshotProblem).toBeUndefined();
      expect(await readdir(etc)).toContain('allow.rules.damaged');
    });

    it('both cut: reconcile refuses, and the next change writes what stands and keeps what was there', async () => {
      await cut('allow.rules');
      await cut('allow.nft');
      const { store, edit } = await start();
      await expect(store.reconcile()).rejects.toMatchObject({
        code: 409,
        message: expect.stringContaining('allow.rules'),
      });
      expect(await inIptables()).toEqual(ids(rules));
      await edit(allow(ruleNumber(2)));
      await expectEverywhere([...rules, ruleNumber(2)]);
      expect(await readdir(etc)).toContain('allow.nft.damaged');
    });

    it('edited to say something else: reported, kept through other changes, done by reconcile', async () => {
      const edited = [web, ruleNumber(9)];
      const text = renderSnapshot(changeSnapshot([], chain, { add: edited, remove: new Set() }), chain);
      await writeFile(file('allow.rules'), text.iptables);
      await writeFile(file('allow.nft'), text.nft);
      await writeFile(file('.allow.rules.0123456789ab.tmp'), 'half');
      const { store, edit } = await start();
      expect(await inIptables(), 'a start opens and closes nothing').toEqual(ids(rules));
      expect(store.state().drift.snapshotDiffers.sort()).toEqual(ids([ruleNumber(1), ruleNumber(9)]));
      await edit(allow(ruleNumber(3)));
      expect(await inIptables()).toEqual(ids([...rules, ruleNumber(3)]));
      await store.reconcile();
      await expectEverywhere([...edited, ruleNumber(3)]);
      expect(store.rules()).toHaveLength(3);
    });

    it('edited while it serves: the next change keeps what was edited', async () => {
      const { store, edit } = await start();
      const text = renderSnapshot(changeSnapshot([], chain, { add: [web], remove: new Set() }), chain);
      await writeFile(file('allow.rules'), text.iptables);
      await writeFile(file('allow.nft'), text.nft);
      await edit(allow(ruleNumber(3)));
      expect(store.state().drift.snapshotDiffers).toEqual([ruleNumber(1).id]);
      await store.reconcile();
      await expectEverywhere([web, ruleNumber(3)]);
    });

    it('gone: what stands is what there is', async () => {
      const { rm } = await import('node:fs/promises');
      await rm(file('allow.rules'));
      await rm(file('allow.nft'));
      const { store } = await start();
      expect(store.rules()).toHaveLength(2);
      await store.reconcile();
      await expectEverywhere(rules);
    });

    it('restore with the plain tools, and are then what coold finds', async () => {
      await filter.iptables('-F', chain);
      await filter.nft('flush', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow');
      await filter.netns.exec(`/usr/sbin/iptables-${backend}-restore`, ['--noflush', file('allow.rules')]);
      await filter.nft('-f', file('allow.nft'));
      const { store } = await start();
      expect(store.state().drift).toEqual(noDrift);
      await expectEverywhere(rules);
    });
  });
});

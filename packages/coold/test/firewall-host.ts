// The store against real iptables and nft, each backend in a network namespace of its own. Needs root.
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger } from '@coold/runtime/logger';
import { scratchFolder } from '@coold/testbed';
import { createPacketFilter, type PacketFilter } from '@coold/testbed/packet-filter';
import { expect } from 'vitest';
import { elementOf } from '../src/firewall/deny/guard-element.ts';
import { createFirewall } from '../src/firewall/firewall.ts';
import type { ApiGuard } from '../src/firewall/keep/api-guard.ts';
import type { DefaultDeny } from '../src/firewall/keep/keep-deny.ts';
import { readIptablesLine } from '../src/firewall/rule/iptables-rule.ts';
import { type Rule, readRule } from '../src/firewall/rule/rule.ts';
import type { Edit, EditCounts } from '../src/firewall/store/rule-model.ts';
import { changeSnapshot, iptablesSnapshot, nftSnapshot } from '../src/firewall/store/snapshot.ts';
import type { Store } from '../src/firewall/store/store.ts';

export const chain = 'COOLIFY-ALLOW';
const toolTimeoutMs = 1500;
const log = createLogger('coold', { level: 'off', components: new Map() }, false);

export const web = readRule({ src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80 });
export const ids = (rules: readonly Rule[]) => rules.map(({ id }) => id).sort();
export const allow = (...rules: Rule[]): Edit[] => rules.map(rule => ({ kind: 'allow', rule }));
export const revoke = (...wanted: string[]): Edit[] => wanted.map(id => ({ kind: 'revoke', id }));
export const noDrift = { kernelOnly: [], modelOnly: [], planesDiffer: [], snapshotDiffers: [] };

/** Both files of some rules, as text. */
export const filesOf = (rules: readonly Rule[]) => {
  const snapshot = changeSnapshot([], { add: rules, remove: new Set() });
  return {
    iptables: [...iptablesSnapshot(snapshot, chain)].join(''),
    nft: [...nftSnapshot(snapshot)].join(''),
  };
};

/** A coold's firewall, serving until it is stopped or its host is gone. */
export interface Running {
  store: Store;
  deny: DefaultDeny;
  edit(edits: Edit[]): Promise<EditCounts>;
  stop(): Promise<void>;
}

interface StartOptions {
  folder?: string;
  isExpected?: boolean;
  lockWaitMs?: number;
  announcedMs?: number;
  apiGuard?: ApiGuard;
}

/** A packet filter and a folder for the files, with PATH leading to the former. */
export interface FirewallHost extends AsyncDisposable {
  filter: PacketFilter;
  etc: string;
  /** A file in that folder. */
  file(name: string): string;
  /** @param options.isAwaited whether it has read the kernel, or failed to, before it is given out; else it is about to */
  start(options?: StartOptions): Promise<Running>;
  inIptables(): Promise<string[]>;
  inNft(): Promise<string[]>;
  /** The elements that stand in the sets of each table that has them, sorted; undefined when none has. */
  inGuard(): Promise<string[] | undefined>;
  expectEverywhere(rules: readonly Rule[]): Promise<void>;
  expectFiles(rules: readonly Rule[]): Promise<void>;
  /** Done when the host goes, after what was started since has stopped. */
  defer(work: () => Promise<void>): void;
}

export async function openFirewallHost(backend: 'nft' | 'legacy'): Promise<FirewallHost> {
  const cleanup = new AsyncDisposableStack();
  const { path } = cleanup.use(await scratchFolder());
  const filter = cleanup.use(await createPacketFilter(path, backend));
  const etc = join(path, 'etc');
  const file = (name: string) => join(etc, name);
  await mkdir(etc);
  const machinePath = process.env['PATH'];
  cleanup.defer(() => {
    process.env['PATH'] = machinePath;
  });
  process.env['PATH'] = filter.path;

  const host: FirewallHost = {
    filter,
    etc,
    file,
    async start({ folder = etc, isExpected = true, ...rest } = {}) {
      const stopping = new AbortController();
      const paths = { rulesPath: join(folder, 'allow.rules'), bridgeRulesPath: join(folder, 'allow.nft') };
      const meshEnv = join(folder, 'mesh.env');
      const firewall = createFirewall({ chain, ...paths, meshEnv, log, toolTimeoutMs, ...rest });
      const loaded = Promise.withResolvers<void>();
      const kept = firewall.keep(loaded.resolve)(stopping.signal);
      const denied = firewall.deny.keep(() => {})(stopping.signal);
      const stop = async () => {
        stopping.abort();
        await Promise.all([kept, denied]);
      };
      cleanup.defer(() => stop().catch(() => {}));
      if (isExpected) await Promise.race([loaded.promise, kept]);
      const { store, deny } = firewall;
      return { store, deny, stop, edit: edits => store.edit(edits) };
    },
    async inIptables() {
      const lines = (await filter.iptables('-S'))
        .split('\n')
        .flatMap(line => readIptablesLine(chain, line) ?? []);
      return lines.flatMap(({ standing }) => (standing.kind === 'rule' ? [standing.rule.id] : [])).sort();
    },
    async inNft() {
      const text = await filter.nft('list', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow');
      return [...text.matchAll(/cid:([0-9a-f]{12})/g)].map(([, id = '']) => id).sort();
    },
    async inGuard() {
      const listing = async (table: string) =>
        filter.nft('list', 'table', ...table.split(' ')).catch(() => '');
      const tables: string[][] = [];
      for (const table of ['inet coolify_guard', 'bridge coolify_bridge']) {
        const text = await listing(table);
        if (text.includes('set allowed_ports'))
          tables.push(
            [...text.matchAll(/[\d.]+ \. [\d.]+[^,}\n]*/g)].map(([element]) => element.trim()).sort(),
          );
      }
      const [first, ...others] = tables;
      for (const other of others) expect(other).toEqual(first);
      return first;
    },
    async expectEverywhere(rules) {
      expect(await host.inIptables()).toEqual(ids(rules));
      expect(await host.inNft()).toEqual(ids(rules));
      const elements = await host.inGuard();
      if (elements !== undefined) expect(elements).toEqual([...new Set(rules.map(elementOf))].sort());
      await host.expectFiles(rules);
    },
    async expectFiles(rules) {
      const text = filesOf(rules);
      expect(await readFile(file('allow.rules'), 'utf8')).toBe(text.iptables);
      expect(await readFile(file('allow.nft'), 'utf8')).toBe(text.nft);
      const names = (await readdir(etc)).filter(name => !name.endsWith('.damaged') && name !== 'mesh.env');
      expect(names.sort()).toEqual([...['allow.lock', 'allow.nft', 'allow.rules']]);
    },
    defer: work => cleanup.defer(work),
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
  return host;
}

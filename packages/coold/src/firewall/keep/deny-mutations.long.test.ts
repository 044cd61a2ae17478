// Single mistakes in what the default deny is made of, as an operator makes them with real iptables and nft: each is noticed,
// said and put back. Needs root.
import { writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { soon } from '@coold/testbed/soon';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FirewallHost, openFirewallHost, type Running } from '../../../test/firewall-host.ts';

/** Within 2 s; a machine that has more to do than it has processors for is given longer. */
const within = () => ({ timeout: (loadavg()[0] ?? 0) < availableParallelism() ? 2000 : 10_000 });

/** One change by hand. */
interface Mutation {
  what: string;
  make(): Promise<unknown>;
}

describe.each(['nft', 'legacy'] as const)('with iptables-%s', backend => {
  let on: FirewallHost;
  let running: Running;
  beforeEach(async () => {
    on = await openFirewallHost(backend);
    await writeFile(
      on.file('mesh.env'),
      `COOLD_SCAFFOLD_SUBNETS=10.210.5.0/24\nCOOLD_SCAFFOLD_POOLS=10.210.0.0/16\nCOOLD_SCAFFOLD_JOINED_PATH=${join(on.etc, 'joined.subnets')}\n`,
    );
    await writeFile(on.file('joined.subnets'), '10.99.0.0/24\n');
    const sockets = [{ host: '100.64.0.1', port: 8443 }];
    running = await on.start({ apiGuard: { sockets, clients: ['10.210.7.7/32'], isTold: true } });
    await soon(() => expect(running.deny.state()).toEqual({ kind: 'in place' }), { timeout: 10_000 });
  });
  afterEach(() => on[Symbol.asyncDispose]());

  const nft = (...words: string[]): Mutation => ({
    what: `nft ${words.join(' ')}`,
    make: () => on.filter.nft(words.join(' ')),
  });
  const iptables = (line: string): Mutation => ({
    what: `iptables ${line}`,
    make: () => on.filter.iptables(...line.split(' ')),
  });
  const tables = ['inet coolify_guard', 'bridge coolify_bridge'];
  /** What is filled by allow rules, and counted by the kernel. */
  const notOurs = /^(allowed_|flows_|dns_|mesh_links|coolify_(allow|replies|fragments)$)/;

  /** An operator's rule that took the place of one of ours. It stays, below what is put back. */
  const theirs = /^-A (FORWARD|INPUT|POSTROUTING) (?!.*coolify-).* -j ACCEPT$/;

  /** Everything that is denied by, but the rules that are exceptions to it. */
  async function denial(): Promise<string> {
    const listings = await Promise.all([
      ...['FORWARD', 'INPUT', 'COOLIFY-INTRA'].map(chain => on.filter.iptables('-S', chain).catch(() => '')),
      on.filter.iptables('-t', 'nat', '-S', 'POSTROUTING').catch(() => ''),
      ...tables.map(table => on.filter.nft(`list table ${table}`).catch(() => '')),
    ]);
    // A chain that was made anew is listed behind the others.
    const parts = listings.flatMap(listing =>
      listing
        .split('\n')
        .filter(line => !theirs.test(line))
        .join('\n')
        .split(/\n\n|\n(?=\t(?:set|chain) )|\{\n(?=\t(?:set|chain) )/),
    );
    return parts
      .map(part => part.replace(/\n\}\n*$/, ''))
      .sort()
      .join('\n')
      .replaceAll(/ +# handle \d+/g, '');
  }

  async function mutations(): Promise<Mutation[]> {
    const found: Mutation[] = [];
    for (const table of tables) {
      found.push(nft(`add table ${table} { flags dormant; }`), nft(`delete table ${table}`));
      const text = await on.filter.nft('-a', 'list', 'table', ...table.split(' '));
      let part = '';
      for (const line of text.split('\n')) {
        const [, kind, name = ''] = /^\t(chain|set) (\S+) \{/.exec(line) ?? [];
        if (kind !== undefined) part = notOurs.test(name) ? '' : name;
        if (part === '') continue;
        if (kind === 'chain') found.push(nft(`flush chain ${table} ${name}`));
        const [, head] = /^\t\ttype (\S+ hook \S+) /.exec(line) ?? [];
        if (head !== undefined) {
          found.push(nft(`add chain ${table} ${part} { policy drop; }`));
          const anew = [`flush chain ${table} ${part}`, `delete chain ${table} ${part}`];
          found.push(
            nft([...anew, `add chain ${table} ${part} { type ${head} priority 77; }`].join('; ')),
            nft(anew.join('; ')),
          );
        }
        const [, elements] = /^\t\telements = \{ (.*) \}$/.exec(line) ?? [];
        // To flush an empty set is no change.
        if (elements !== undefined) found.push(nft(`flush set ${table} ${part}`));
        for (const element of elements?.split(', ') ?? [])
          found.push(nft(`delete element ${table} ${part} { ${element.replace(/ comment .*/, '')} }`));
        const [, rule = '', handle] = /^\t\t(.*) # handle (\d+)$/.exec(line) ?? [];
        if (handle === undefined || kind !== undefined) continue;
        const at = `${table} ${part} handle ${handle}`;
        found.push(nft(`delete rule ${at}`));
        for (const other of [
          'accept',
          'meta mark 7 drop',
          rule.replace(/ (drop|return)$/, ' accept'),
          rule.replace(/^(.*) accept$/, '$1 drop'),
          rule.replace(/10\.210\.5\.0\/24/, '10.210.5.0/25'),
          rule.replace('"wg0"', '"eth0"'),
        ])
          if (other !== rule && !/@(dns|flows)_/.test(other)) found.push(nft(`replace rule ${at} ${other}`));
        found.push(nft(`insert rule ${at} counter`));
      }
    }
    for (const [chain, table] of [
      ['FORWARD', 'filter'],
      ['COOLIFY-INTRA', 'filter'],
      ['INPUT', 'filter'],
      ['POSTROUTING', 'nat'],
    ] as const) {
      const rules = (await on.filter.iptables('-t', table, '-S', chain))
        .split('\n')
        .filter(line => line.startsWith('-A '));
      found.push(iptables(`-t ${table} -F ${chain}`));
      rules.forEach((rule, index) => {
        if (theirs.test(rule)) return;
        const words = rule.replace(`-A ${chain} `, '');
        found.push(iptables(`-t ${table} -D ${chain} ${index + 1}`));
        found.push(iptables(`-t ${table} -R ${chain} ${index + 1} -s 192.0.2.1/32 -j ACCEPT`));
        const passing = words.replace(/ -j (DROP|COOLIFY-INTRA|RETURN)$/, ' -j ACCEPT');
        if (passing !== words) found.push(iptables(`-t ${table} -R ${chain} ${index + 1} ${passing}`));
      });
    }
    return found;
  }

  const numRuns = Number(process.env['FC_RUNS'] ?? (backend === 'nft' ? 25 : 12));
  const seed = Number(process.env['FC_SEED'] ?? Date.now() % 100_000);
  it(`any single one of them is noticed, said and put back (seed ${seed})`, async () => {
    const whole = await denial();
    await fc.assert(
      fc.asyncProperty(fc.nat(), async number => {
        // Each repair gives rules other handles.
        const all = await mutations();
        const { what, make } = all[number % all.length] ?? nft('list tables');
        const repairs = running.deny.repairs();
        const made = await make().then(
          () => true,
          () => false,
        );
        // Words that nft does not take in this place change nothing.
        fc.pre(made);
        await soon(() => expect(running.deny.repairs(), what).toBeGreaterThan(repairs), within());
        await soon(() => expect(running.deny.state(), what).toEqual({ kind: 'in place' }), { timeout: 5000 });
        await soon(async () => expect(await denial(), what).toBe(whole));
      }),
      { seed, numRuns, endOnFailure: true },
    );
  }, 240_000);
});

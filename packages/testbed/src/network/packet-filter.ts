import { chmod, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createNetns, type Netns } from './netns.ts';

export type FilterProgram = 'iptables' | 'iptables-restore' | 'nft';

/** What a program of the packet filter may do instead of its work. */
export type FilterFault =
  | 'missing'
  /** It neither ends nor does anything. */
  | 'hangs'
  /** The tool does nothing and reports success. */
  | 'lies'
  /** The tool makes one change, then does nothing and reports success. */
  | 'lies after one change'
  /** The tool fails. Listings and monitors still work. */
  | 'refuses'
  /** The tool fails for changes, but succeeds for a dry run. */
  | 'refuses at work'
  | 'hangs at work'
  /** The tool fails for listings, and does everything else. */
  | 'cannot list';

/**
 * A packet filter of one's own, in a network namespace, for programs that run outside of it: a folder to begin their PATH
 * with, whose iptables and nft act in there.
 */
export interface PacketFilter extends AsyncDisposable {
  netns: Netns;
  /** PATH that finds them, and everything else of this machine but its own packet filter. */
  path: string;
  iptables(...args: string[]): Promise<string>;
  nft(...args: string[]): Promise<string>;
  break(program: FilterProgram, fault: FilterFault): Promise<void>;
  repair(program: FilterProgram): Promise<void>;
  /** The tool works, and runs a command in the namespace after each change, before it reports success. */
  follow(program: FilterProgram, command: string): Promise<void>;
  /** Rewrites the output of nft's monitor by sed, from the first pattern to the second, like another version of nft. */
  reword(from: string, to: string): Promise<void>;
  /** Has nft's monitor tell some thousand lines a second at most, as on a busy machine. */
  slowMonitor(): Promise<void>;
  /** Has nft's monitor tell so many lines and swallow whatever comes after them. */
  muteMonitor(afterLines: number): Promise<void>;
  /** Has nft's monitor begin only once the function that this resolves with is called. */
  delayMonitor(): Promise<() => Promise<void>>;
  /** Has nft list only once the function that this resolves with is called. */
  delayListing(): Promise<() => Promise<void>>;
  /** The chains of the default deny, as far as allow rules need them. */
  scaffold(): Promise<void>;
  /** Those of them that are nft's. */
  nftTables(): Promise<void>;
}

/** The sets of allowed flows that the scaffold has beside the allow chains. */
const guardSets = [
  ['allowed_hosts', 'ipv4_addr . ipv4_addr'],
  ['allowed_protocols', 'ipv4_addr . ipv4_addr . inet_proto'],
  ['allowed_ports', 'ipv4_addr . ipv4_addr . inet_proto . inet_service'],
];

/** Needs root. @param folder of the test's own */
export async function createPacketFilter(
  folder: string,
  backend: 'nft' | 'legacy' = 'nft',
): Promise<PacketFilter> {
  const netns = await createNetns();
  // iptables-legacy takes its lock in /run.
  await netns.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
  const bin = join(folder, 'bin');
  await mkdir(bin, { recursive: true });
  const real = {
    iptables: `/usr/sbin/iptables-${backend}`,
    'iptables-restore': `/usr/sbin/iptables-${backend}-restore`,
    nft: '/usr/sbin/nft',
  };
  const within = `nsenter -t ${netns.pid} -n -m --`;
  const enter = `exec ${within}`;
  async function place(program: FilterProgram | 'xtables-monitor', script: string): Promise<void> {
    // The script is replaced and never rewritten: a shell that is reading it continues with the old one.
    const temporary = join(bin, `.${program}`);
    await writeFile(temporary, `#!/bin/sh\n${script}\n`);
    await chmod(temporary, 0o755);
    await rename(temporary, join(bin, program));
  }
  const repair = (program: FilterProgram) => place(program, `${enter} ${real[program]} "$@"`);
  const changes = ['*" -A "*', '*" -f "*', '*"--noflush"*'];
  const listings = ['*" -S "*', '*" list "*'];
  const asking = ['*" --test "*', '*" -c "*'];
  /** Something else than its work, where its arguments are such and not others. */
  const instead = (program: FilterProgram, such: string[], script: string, others: string[] = ['""']) =>
    place(
      program,
      `case " $* " in ${others.join('|')}) ;; ${such.join('|')}) ${script};; esac\n${enter} ${real[program]} "$@"`,
    );
  const run = async (program: FilterProgram, args: readonly string[]) =>
    (await netns.exec(real[program], args)).stdout;
  await Promise.all((['iptables', 'iptables-restore', 'nft'] as const).map(repair));
  await place('xtables-monitor', `${enter} /usr/sbin/xtables-monitor "$@"`);
  const nftTables = async () => {
    await run('nft', ['add', 'table', 'bridge', 'coolify_bridge']);
    await run('nft', ['add', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow']);
    await run('nft', ['add', 'table', 'inet', 'coolify_guard']);
    for (const table of ['inet coolify_guard', 'bridge coolify_bridge'])
      for (const [name, type] of guardSets) await run('nft', [`add set ${table} ${name} { type ${type}; }`]);
  };
  return {
    netns,
    path: `${bin}:${await withoutFilter(join(folder, 'tools'))}`,
    iptables: (...args) => run('iptables', args),
    nft: (...args) => run('nft', args),
    repair,
    follow: (program, command) =>
      instead(
        program,
        changes,
        `${within} ${real[program]} "$@" || exit; ${within} sh -c '${command}'; exit`,
        asking,
      ),
    // exec, so that the process that was started holds the netlink socket that tests look for.
    reword: (from, to) =>
      instead(
        'nft',
        ['*" monitor "*'],
        `exec bash -c 'exec > >(exec sed -u "s/${from}/${to}/"); ${enter} ${real.nft} "$@"' nft "$@"`,
      ),
    slowMonitor: () =>
      instead(
        'nft',
        ['*" monitor "*'],
        `exec bash -c 'exec > >(while IFS= read -r line; do printf "%s\\n" "$line"; (( ++n % 200 )) || sleep 0.05; done); ${enter} ${real.nft} "$@"' nft "$@"`,
      ),
    muteMonitor: afterLines =>
      instead(
        'nft',
        ['*" monitor "*'],
        `exec bash -c 'exec > >(head -n ${afterLines}; exec cat >/dev/null); ${enter} ${real.nft} "$@"' nft "$@"`,
      ),
    async delayMonitor() {
      const go = join(folder, 'monitor');
      await instead('nft', ['*" monitor "*'], `until [ -e ${go} ]; do sleep 0.02; done`);
      return () => writeFile(go, '');
    },
    async delayListing() {
      const go = join(folder, 'list');
      await instead('nft', listings, `until [ -e ${go} ]; do sleep 0.02; done`);
      return () => writeFile(go, '');
    },
    async break(program, fault) {
      switch (fault) {
        case 'missing':
          return await rm(join(bin, program), { force: true });
        case 'hangs':
          return await place(program, 'exec sleep 600');
        case 'lies':
          return await instead(program, changes, 'exit 0');
        case 'lies after one change': {
          const done = join(folder, `${program}-has-done-one`);
          await rm(done, { recursive: true, force: true });
          return await instead(program, changes, `mkdir ${done} 2>/dev/null || exit 0`, asking);
        }
        case 'refuses':
          return await instead(program, changes, `echo "no, says ${program}" >&2; exit 1`);
        case 'refuses at work':
          return await instead(program, changes, `echo "no, says ${program}" >&2; exit 1`, asking);
        case 'hangs at work':
          return await instead(program, changes, 'exec sleep 600', asking);
        case 'cannot list':
          return await instead(program, listings, `echo "no list, says ${program}" >&2; exit 1`);
      }
    },
    async scaffold() {
      await run('iptables', ['-N', 'COOLIFY-ALLOW']);
      await nftTables();
    },
    nftTables,
    [Symbol.asyncDispose]: () => netns.close(),
  };
}

/** A folder with every program of the PATH but those that would act on this machine's own packet filter. */
async function withoutFilter(folder: string): Promise<string> {
  await mkdir(folder);
  const taken = new Set<string>();
  for (const directory of (process.env['PATH'] ?? '').split(':')) {
    const names = await readdir(directory).catch(() => []);
    const wanted = names.filter(name => !taken.has(name) && !/^(ip6?tables|xtables|nft|eb|arp)/.test(name));
    for (const name of wanted) taken.add(name);
    await Promise.all(wanted.map(name => symlink(join(directory, name), join(folder, name))));
  }
  return folder;
}

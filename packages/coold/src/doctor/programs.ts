import { readFile } from 'node:fs/promises';
import { ChildError, type Finding, fail, ok, runChild, warn } from '@coold/runtime';

/** A program that coold runs, and its lowest version that works. */
export interface NeededProgram {
  name: string;
  /** The paths to try; the first that exists is run. */
  paths: readonly string[];
  args: readonly string[];
  /** `major.minor`, the version in Debian 12. Undefined when any version works. */
  least?: string;
  /** The Debian package that contains it. */
  package: string;
  /** What does not work without it; undefined when nothing does. */
  onlyFor?: string;
}

/** Every program that coold starts, in the order of the report. A user's PATH may lack /usr/sbin. */
export const neededPrograms: readonly NeededProgram[] = [
  { name: 'podman', paths: ['podman'], args: ['--version'], least: '4.3', package: 'podman' },
  {
    name: 'netavark',
    args: ['--version'],
    least: '1.4',
    package: 'netavark',
    paths: [
      ...['/usr/lib/podman/netavark', '/usr/libexec/podman/netavark'],
      ...['/usr/local/lib/podman/netavark', '/usr/local/libexec/podman/netavark'],
    ],
  },
  { name: 'nft', paths: ['nft', '/usr/sbin/nft'], args: ['--version'], least: '1.0', package: 'nftables' },
  {
    name: 'iptables',
    args: ['--version'],
    least: '1.8',
    package: 'iptables',
    paths: ['iptables', '/usr/sbin/iptables'],
  },
  { name: 'systemd', paths: ['systemctl'], args: ['--version'], least: '252', package: 'systemd' },
  { name: 'ip', paths: ['ip'], args: ['-Version'], package: 'iproute2' },
  {
    name: 'wg',
    paths: ['wg'],
    args: ['--version'],
    package: 'wireguard-tools',
    onlyFor: 'the mesh between hosts',
  },
  {
    name: 'buildah',
    paths: ['buildah'],
    args: ['--version'],
    least: '1.28',
    package: 'buildah',
    onlyFor: 'builds',
  },
  { name: 'git', paths: ['git'], args: ['--version'], package: 'git', onlyFor: 'builds' },
];

/** A program's version output; undefined when it does not exist. */
export type Said = string | undefined;

/** Pure. */
export function judgeProgram(program: NeededProgram, said: Said): Finding {
  const { name, least, onlyFor } = program;
  const cure = `apt-get install ${program.package}`;
  if (said === undefined)
    return onlyFor === undefined
      ? fail(`${name} is not installed`, cure)
      : warn(`${name} is not installed: ${onlyFor} cannot work`, cure);
  const version = versionIn(said);
  if (version === undefined)
    return warn(`${name}: no version in ${JSON.stringify(said.slice(0, 80))}`, 'run it by hand');
  if (least !== undefined && isBelow(version, least))
    return fail(
      `${name} ${version} is older than ${least}, with which coold is tested`,
      'upgrade the system to Debian 12 or newer',
    );
  return ok(`${name} ${version}${name === 'iptables' ? `, variant ${iptablesVariant(said)}` : ''}`);
}

/** Returns the backend in a version line such as `iptables v1.8.9 (nf_tables)`. Before 1.8 only legacy existed. Pure. */
export function iptablesVariant(said: string): 'nf_tables' | 'legacy' {
  return said.includes('nf_tables') ? 'nf_tables' : 'legacy';
}

/** Returns the first number with a dot, or for systemd without. Pure. */
export function versionIn(said: string): string | undefined {
  return /(?:^|[ v-])(\d+(?:\.\d+)+)/.exec(said)?.[1] ?? /(?:^| )(\d+)\b/.exec(said)?.[1];
}

function isBelow(version: string, least: string): boolean {
  const numbers = (text: string) => text.split('.').map(Number);
  const [has, wants] = [numbers(version), numbers(least)];
  for (const [index, wanted] of wants.entries()) {
    const there = has[index] ?? 0;
    if (there !== wanted) return there < wanted;
  }
  return false;
}

const timeoutMs = 10_000;

/** Returns the first line of a program's version output. @throws Error when it hangs or prints only an error */
export async function askProgram({ paths, args }: NeededProgram, signal: AbortSignal): Promise<Said> {
  for (const path of paths) {
    try {
      const { code, stdout, stderr } = await runChild(path, args, { timeoutMs, signal });
      if (code !== 0 && stdout === '')
        throw new Error(`${path} ${args.join(' ')}: ${stderr.trim().slice(0, 200) || `exit code ${code}`}`);
      return stdout.split('\n')[0] ?? '';
    } catch (error) {
      if (!(error instanceof ChildError && error.reason === 'spawn')) throw error;
    }
  }
  return undefined;
}

/**
 * Reports rules of the other variant of iptables, which are active beside ours and which our listings do not show.
 * Tables without rules have no effect. Pure.
 *
 * @param saved the output of `iptables-legacy-save`
 */
export function judgeLegacyRules(variant: 'nf_tables' | 'legacy', saved: string): Finding[] {
  const rules = saved.split('\n').filter(line => line.startsWith('-A ') || /^:\S+ DROP /.test(line));
  if (variant === 'legacy' || rules.length === 0) return [];
  return [
    warn(
      `iptables-legacy has ${rules.length} rules in the kernel beside those of iptables, which coold does not see`,
      'list them with `iptables-legacy-save`, and remove old ones',
    ),
  ];
}

/**
 * Returns the other variant's rules; empty when the kernel has none of its tables or its tool is missing.
 *
 * @throws ChildError when it hangs
 */
export async function readLegacyRules(signal: AbortSignal): Promise<string> {
  // Its tool would create the tables that it lists.
  if ((await readFile('/proc/net/ip_tables_names', 'utf8').catch(() => '')).trim() === '') return '';
  try {
    return (await runChild('iptables-legacy-save', [], { timeoutMs, signal })).stdout;
  } catch (error) {
    if (error instanceof ChildError && error.reason === 'spawn') return '';
    throw error;
  }
}

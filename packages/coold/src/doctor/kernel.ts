import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { type Finding, fail, ok, runChild, warn } from '@coold/runtime';
import { hasBridgeConntrack, hasBridgeNames } from '../firewall/scaffold/apply-scaffold.ts';
import { needRoot } from './host.ts';

/** Kernel features that coold uses. */
export interface KernelAbilities {
  release: string;
  nfTables: boolean;
  /** Whether connections within a bridge are tracked (nf_conntrack_bridge). */
  bridgeConntrack: boolean;
  /** Whether rules can match the bridge of a packet (CONFIG_NFT_BRIDGE_META). */
  bridgeNames: boolean;
  /** Whether systemd's IPAddressDeny= is enforced (CONFIG_CGROUP_BPF). */
  cgroupBpf: boolean;
}

/** Pure. */
export function judgeKernel(kernel: KernelAbilities): Finding[] {
  if (!kernel.nfTables)
    return [
      fail(
        `Linux ${kernel.release} takes no rules of nftables`,
        'load the module nf_tables, or run a kernel with CONFIG_NF_TABLES; nothing is denied without it',
      ),
    ];
  return [
    ok(`Linux ${kernel.release} takes rules of nftables`),
    kernel.bridgeConntrack
      ? ok('connections within a bridge are tracked')
      : warn(
          'connections within a bridge are not tracked: replies are recognised by their packets',
          'load the module nf_conntrack_bridge, or run a kernel that has it',
        ),
    kernel.bridgeNames
      ? ok('rules can name a bridge')
      : warn('rules cannot name a bridge', 'run a kernel with CONFIG_NFT_BRIDGE_META'),
    kernel.cgroupBpf
      ? ok("BPF enforces systemd's IPAddressDeny=")
      : warn(
          "the kernel has no BPF for cgroups: systemd's IPAddressDeny= is not enforced, builds are kept in by their network namespace alone",
          'run a kernel with CONFIG_CGROUP_BPF',
        ),
  ];
}

/** @throws Error when not root, or when nft cannot be run */
export async function readKernel(): Promise<KernelAbilities> {
  needRoot();
  const [nfTables, bridgeConntrack, bridgeNames, cgroupBpf] = await Promise.all([
    takesTables(),
    hasBridgeConntrack(),
    hasBridgeNames(),
    hasCgroupBpf(),
  ]);
  return { release: release(), nfTables, bridgeConntrack, bridgeNames, cgroupBpf };
}

const nftTimeoutMs = 10_000;
/** Only checked by the kernel, not installed. */
const probe =
  'add table inet coold_doctor\nadd chain inet coold_doctor c { type filter hook forward priority 0; }\n';

async function takesTables(): Promise<boolean> {
  const { code } = await runChild('nft', ['-c', '-f', '-'], { timeoutMs: nftTimeoutMs, input: probe });
  return code === 0;
}

/** The kernel's list of symbols shows what it was built with, also where its configuration is not on the disk. */
async function hasCgroupBpf(): Promise<boolean> {
  return (await readFile('/proc/kallsyms', 'latin1')).includes(' cgroup_bpf_prog_attach\n');
}

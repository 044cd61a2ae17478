import { ChildError, runChild } from '@coold/runtime';
import { conntrackProbe, type Present, renderIptables, renderNft, type Scaffold } from './scaffold.ts';

/** How the kernel stands now that the scaffold is in it. */
export interface Applied {
  /** Whether the routed plane had to be changed. */
  iptablesChanged: boolean;
  /** Whether bridged connections are tracked; without, replies are told from their packets. */
  bridgeConntrack: boolean;
}

/** Another writer of the same tables, such as netavark, is waited for this long. */
const waitSeconds = 5;
const timeoutMs = 15_000;
const tries = 3;

/**
 * Brings both planes to the scaffold. Idempotent; what allow rules there are stay (CONTRACT §4). A plane that fails does
 * not keep the other from its default deny.
 *
 * @throws Error naming every program that failed and what it said
 */
export async function applyScaffold(scaffold: Scaffold): Promise<Applied> {
  const [iptables, nft] = await Promise.allSettled([applyIptables(scaffold), applyNft(scaffold)]);
  if (iptables.status === 'fulfilled' && nft.status === 'fulfilled')
    return { iptablesChanged: iptables.value, bridgeConntrack: nft.value };
  const failures = [iptables, nft].flatMap(plane => (plane.status === 'rejected' ? [plane.reason] : []));
  throw new AggregateError(failures, failures.map(reason => messageOf(reason)).join('; '));
}

/**
 * Brings the routed plane to the scaffold; costs two listings when it is there already.
 *
 * @returns whether anything had to be changed
 */
export async function applyIptables(scaffold: Scaffold): Promise<boolean> {
  for (let left = tries; ; left -= 1) {
    const script = renderIptables(scaffold, await readPresent());
    if (script === '') return false;
    try {
      await run('iptables-restore', ['--noflush', `--wait=${waitSeconds}`], script);
      return true;
    } catch (error) {
      // Somebody else changed these chains since they were listed: look again.
      if (left <= 1) throw error;
    }
  }
}

/** Puts the bridged plane in. @returns whether this kernel tracks bridged connections */
export async function applyNft(scaffold: Scaffold): Promise<boolean> {
  const conntrack = await hasBridgeConntrack();
  await run('nft', ['-f', '-'], renderNft(scaffold, conntrack));
  return conntrack;
}

async function readPresent(): Promise<Present> {
  const wait = `--wait=${waitSeconds}`;
  return {
    filter: lines(await run('iptables', [wait, '-S'])),
    postrouting: lines(await run('iptables', [wait, '-t', 'nat', '-S', 'POSTROUTING'])),
  };
}

async function hasBridgeConntrack(): Promise<boolean> {
  const { code } = await runChild('nft', ['-c', '-f', '-'], { timeoutMs, input: conntrackProbe });
  return code === 0;
}

function lines(text: string): string[] {
  return text.split('\n').filter(line => line !== '');
}

/** A listing can be long: 10,000 allow rules are about 1.5 MB. */
const maxOutputBytes = 64 * 1024 * 1024;

async function run(program: string, args: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await runChild(program, args, { timeoutMs, maxOutputBytes, input });
  if (code === 0) return stdout;
  throw new Error(`${program} ${args.join(' ')} failed (exit ${code}): ${oneLine(stderr)}`);
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ').slice(0, 500);
}

function messageOf(reason: unknown): string {
  if (reason instanceof ChildError && reason.reason === 'spawn') return `${reason.message}: is it installed?`;
  return reason instanceof Error ? reason.message : String(reason);
}

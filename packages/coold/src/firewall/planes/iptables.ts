import { runChild } from '@coold/runtime';
import { createLines } from './lines.ts';

/** How long to wait for another writer of the same tables, such as netavark, in s. */
const waitSeconds = 5;
const timeoutMs = 15_000;
/** A listing can be long: 10,000 allow rules are about 1.5 MB. */
const maxOutputBytes = 64 * 1024 * 1024;
/** The part of a tool's output that is kept when its lines are handled as they arrive. */
const maxWordsBytes = 64 * 1024;

/** A tool's standard input, as a text or in parts that are produced while the tool reads them. */
export type ToolInput = string | { parts: Iterable<string> };

/**
 * `iptables -S` of a table, of one chain of it, or of one rule of that by its number, as lines.
 *
 * @throws Error with what iptables said
 */
export async function listIptables(
  table: 'filter' | 'nat',
  chain?: string,
  rule?: number,
): Promise<string[]> {
  const what = [...(chain === undefined ? [] : [chain]), ...(rule === undefined ? [] : [String(rule)])];
  const args = [`--wait=${waitSeconds}`, '-t', table, '-S', ...what];
  return (await runTool('iptables', args)).split('\n').filter(line => line !== '');
}

/** Runs `iptables-restore --noflush`, which commits each table of the text at once. @throws Error with its message */
export async function restoreIptables(text: string): Promise<void> {
  await runTool('iptables-restore', ['--noflush', `--wait=${waitSeconds}`], text);
}

/**
 * Runs one of the packet filter's tools.
 *
 * @param onLine takes the output line by line; the output is then not kept
 * @param limitMs the tool is killed after this long
 * @returns its output, or the beginning of it when the lines are handled
 * @throws Error naming the tool and its message; ChildError when it could not be run or timed out
 */
export async function runTool(
  program: string,
  args: readonly string[],
  input: ToolInput = '',
  onLine?: (line: string) => void,
  limitMs = timeoutMs,
): Promise<string> {
  const lines = onLine === undefined ? undefined : createLines(onLine);
  const { code, stdout, stderr } = await runChild(program, args, {
    timeoutMs: limitMs,
    maxOutputBytes: lines === undefined ? maxOutputBytes : maxWordsBytes,
    onOutput(chunk, stream) {
      if (stream === 'stdout') lines?.take(chunk);
    },
    input,
    // nft acts at the end of its script, and sees an end also when coold is killed while writing.
    diesWithUs: true,
    // Messages of the tools are parsed, so they have to be English.
    env: { ...process.env, LC_ALL: 'C', ...(isListing(program, args) ? withoutLock : {}) },
  });
  lines?.end();
  if (code === 0) return stdout;
  const said = stderr.trim().replaceAll(/\s+/g, ' ').slice(0, 500);
  throw new Error(`${program} ${args.join(' ')} failed (exit ${code}): ${said}`);
}

/**
 * iptables-legacy takes the lock of all writers even to list, although the kernel returns a consistent listing without
 * it. coold lists every second there, so programs that do not wait for the lock, such as ufw, would fail now and then.
 * Therefore each listing locks a file that belongs to its own process. It must not be a file that containers can open:
 * crun mounts the host's /dev/null into them, and a container that holds the lock on it would block every listing.
 */
const withoutLock = { XTABLES_LOCKFILE: '/proc/self/environ' };

function isListing(program: string, args: readonly string[]): boolean {
  return ['iptables', 'iptables-legacy'].includes(program) && args.includes('-S');
}

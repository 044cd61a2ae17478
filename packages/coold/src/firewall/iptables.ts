import { runChild } from '@coold/runtime';
import { createLines } from './lines.ts';

/** Another writer of the same tables, such as netavark, is waited for this long. */
const waitSeconds = 5;
const timeoutMs = 15_000;
/** A listing can be long: 10,000 allow rules are about 1.5 MB. */
const maxOutputBytes = 64 * 1024 * 1024;
/** Of what a tool says whose output is taken as it comes. */
const maxWordsBytes = 64 * 1024;

/** Standard input of a tool; in parts, which are made as it takes them. */
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

/** `iptables-restore --noflush`: each table of the text in one commit. @throws Error with what it said */
export async function restoreIptables(text: string): Promise<void> {
  await runTool('iptables-restore', ['--noflush', `--wait=${waitSeconds}`], text);
}

/**
 * Runs one of the packet filter's tools.
 *
 * @param onLine takes its output line by line, of which nothing is kept then
 * @param limitMs after this long it is killed
 * @returns its output, or the beginning of it where the lines are taken
 * @throws Error naming it and what it said, ChildError when it did not run or not in time
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
    // nft acts upon a script at its end, which is there too when coold is killed while it writes it.
    diesWithUs: true,
    // What they say is read.
    env: { ...process.env, LC_ALL: 'C' },
  });
  lines?.end();
  if (code === 0) return stdout;
  const said = stderr.trim().replaceAll(/\s+/g, ' ').slice(0, 500);
  throw new Error(`${program} ${args.join(' ')} failed (exit ${code}): ${said}`);
}

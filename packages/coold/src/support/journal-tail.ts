import { runChild } from '@coold/runtime';

export interface JournalTail {
  /** Complete records, oldest first. */
  text: string;
  /** Whether older records exist. */
  truncated: boolean;
}

const timeoutMs = 30_000;

/**
 * Returns the last lines of the journal that `matches` select. It is read from its end, so that a journal of gigabytes
 * costs no more than what is kept.
 *
 * @param matches arguments of journalctl, such as `--unit` and a name
 * @throws ChildError when journalctl cannot be run, hangs, or the signal fires
 */
export async function journalTail(
  matches: readonly string[],
  limits: { lines: number; bytes: number },
  signal: AbortSignal,
  program = 'journalctl',
): Promise<JournalTail> {
  const { lines, bytes } = limits;
  const args = [
    ...['--reverse', '--lines', String(lines), '--output', 'short-iso', '--no-pager', '--quiet', '--all'],
    ...matches,
  ];
  const { stdout, truncated } = await runChild(program, args, {
    timeoutMs,
    maxOutputBytes: bytes,
    signal,
    diesWithUs: true,
  });
  const kept = recordsOf(stdout).slice(0, truncated ? -1 : undefined);
  return { text: kept.reverse().join(''), truncated: truncated || kept.length >= lines };
}

/** Splits an output into records with their indented continuation lines. Pure. */
function recordsOf(output: string): string[] {
  const records: string[][] = [];
  for (const line of output.split('\n')) {
    if (line === '') continue;
    const last = records.at(-1);
    if (last !== undefined && /^\s/.test(line)) last.push(line);
    else records.push([line]);
  }
  return records.map(lines => `${lines.join('\n')}\n`);
}

import { runChild } from '../processes/child.ts';
import { isObject, parseJson } from '../unknown-values.ts';

const wantedLines = 5;
/** When a program ends and is restarted over and over, one attempt is about ten lines, most of them systemd's. */
const attemptLines = 20;
const timeoutMs = 3000;

/**
 * Returns the last five lines that a unit wrote to the journal, each with time, level and message. If none of them says
 * why the program failed, the last one that does comes first. Returns nothing where there is no journal. Never rejects.
 */
export async function lastJournalLines(unit: string): Promise<string[]> {
  const args = ['--unit', unit, '--lines', String(attemptLines), '--output', 'cat', '--no-pager', '--quiet'];
  try {
    const { code, stdout } = await runChild('journalctl', args, { timeoutMs });
    if (code !== 0) return [];
    return lastOfAttempt(
      stdout.split('\n').filter(line => line.trim() !== ''),
      unit,
    ).map(readableLine);
  } catch {
    return [];
  }
}

function lastOfAttempt(lines: readonly string[], unit: string): string[] {
  const program = unit.replace(/\.service$/, '');
  const last = lines.slice(-wantedLines);
  // Lines before a clean end do not explain why the program is not running now.
  const endedWell = lines.findLastIndex(line => line.endsWith('Deactivated successfully.'));
  const failedAt = lines.findLastIndex(
    (line, index) => index > endedWell && (line.startsWith(`${program}: `) || isErrorLine(line)),
  );
  const failure = lines[failedAt];
  return failure === undefined || failedAt >= lines.length - wantedLines ? last : [failure, ...last];
}

function isErrorLine(line: string): boolean {
  return /^\{"level":"(?:error|fatal)",/.test(line);
}

/** Formats a JSON log line for people. Any other line is returned as it is. Pure. */
export function readableLine(line: string): string {
  const entry = parseJson(line);
  if (!isObject(entry)) return line;
  const { time, level, msg, reason } = entry;
  const words = [time, level, reason === undefined ? msg : `${msg}: ${reason}`];
  return words.every(word => typeof word === 'string') ? words.join('  ') : line;
}

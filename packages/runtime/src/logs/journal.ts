import { fstatSync } from 'node:fs';

/** The priorities of syslog(3). The journal reads `<3>` at the beginning of a line as a priority (sd-daemon(3)). */
const priorities = { error: 3, warn: 4, info: 6, debug: 7, trace: 7 } as const;

export type JournalLevel = keyof typeof priorities;

/** Whether stderr is connected to the journal (`$JOURNAL_STREAM` in systemd.exec(5)). */
export function isJournal(env: NodeJS.ProcessEnv = process.env): boolean {
  const stream = env['JOURNAL_STREAM'];
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(2, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false; // stderr is closed
  }
}

/** Returns the prefix that gives a line its priority in the journal, or an empty text without a journal. */
export function journalPrefix(level: JournalLevel, toJournal = isJournal()): string {
  return toJournal ? `<${priorities[level]}>` : '';
}

/** A stream for pino that writes the priority before each line. pino sets `lastLevel` before each write. */
export interface PrioritizedStream {
  lastLevel: number;
  write(line: string): void;
}

/** The levels of pino by number. */
const levels: readonly [number, JournalLevel][] = [
  [50, 'error'],
  [40, 'warn'],
  [30, 'info'],
];

/** Returns a stream that writes each line with its priority to `inner`. */
export function withPriorities(inner: { write(line: string): unknown }): PrioritizedStream {
  return Object.assign(
    {
      lastLevel: 30,
      write(line: string) {
        const [, level] = levels.find(([least]) => this.lastLevel >= least) ?? [0, 'debug' as const];
        inner.write(`${journalPrefix(level, true)}${line}`);
      },
    },
    // pino sets lastLevel only on streams with this symbol.
    { [Symbol.for('pino.metadata')]: true },
  );
}

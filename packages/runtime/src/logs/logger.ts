import { type DestinationStream, type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import { build as prettyStream } from 'pino-pretty';
import { isJournal, withPriorities } from './journal.ts';
import { type LogFilter, levelOf } from './log-filter.ts';

export type Logger = Pick<PinoLogger, 'trace' | 'debug' | 'info' | 'warn' | 'error'> & {
  /** Returns the logger of a part of the program, with a level of its own: `child('link')` of "coold" is "coold.link". */
  child(part: string): Logger;
};

/**
 * Returns a logger that writes to stderr: JSON lines for machines, coloured lines on a terminal. For the journal, each line
 * begins with its priority, so that `journalctl -p err` works. Lines are written synchronously, so that the line which says
 * why a program ends is not lost.
 */
export function createLogger(program: string, filter: LogFilter, terminal = process.stderr.isTTY): Logger {
  const destination = terminal
    ? prettyStream({ destination: 2, sync: true, ignore: 'pid,hostname', singleLine: true })
    : forMachines();
  const root = pino(
    {
      level: 'trace',
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    destination,
  );
  return component(root, filter, program);
}

function forMachines(): DestinationStream {
  const stderr = pino.destination({ dest: 2, sync: true });
  return isJournal() ? withPriorities(stderr) : stderr;
}

function component(root: PinoLogger, filter: LogFilter, name: string): Logger {
  const level = levelOf(filter, name);
  const own = root.child({ component: name }, { level: level === 'off' ? 'silent' : level });
  return {
    trace: own.trace.bind(own),
    debug: own.debug.bind(own),
    info: own.info.bind(own),
    warn: own.warn.bind(own),
    error: own.error.bind(own),
    child: part => component(root, filter, `${name}.${part}`),
  };
}

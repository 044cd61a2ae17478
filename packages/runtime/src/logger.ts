import { type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import { build as prettyStream } from 'pino-pretty';
import { type LogFilter, levelOf } from './log-filter.ts';

export type Logger = Pick<PinoLogger, 'trace' | 'debug' | 'info' | 'warn' | 'error'> & {
  /** A logger for a part of the program, filtered by its own level: `child('link')` of "coold" is "coold.link". */
  child(part: string): Logger;
};

/**
 * JSON lines on stderr for systemd and machines, coloured lines for a person at a terminal. Written synchronously: the
 * line that says why a program ends must not be lost with it.
 */
export function createLogger(program: string, filter: LogFilter, terminal = process.stderr.isTTY): Logger {
  const destination = terminal
    ? prettyStream({ destination: 2, sync: true, ignore: 'pid,hostname', singleLine: true })
    : pino.destination({ dest: 2, sync: true });
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

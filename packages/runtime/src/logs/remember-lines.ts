import type { Logger } from './logger.ts';

/** A logged warning or error. */
export interface RememberedLine {
  at: string;
  level: 'warn' | 'error';
  message: string;
  /** The field `reason`, or the message of its error. */
  reason?: string;
}

type LogCall = Logger['warn'];

const maxTextLength = 300;

/**
 * Wraps a logger so that its last warnings and errors, including those of its children, can be read again, newest first. They
 * are kept whatever the log level is.
 *
 * @param keep the number of lines to keep
 */
export function rememberLines(
  log: Logger,
  keep: number,
  now: () => Date = () => new Date(),
): { log: Logger; recent(): RememberedLine[] } {
  const lines: RememberedLine[] = [];
  const remember = (level: RememberedLine['level'], [first, second]: readonly unknown[]) => {
    const fields = typeof first === 'object' && first !== null ? (first as Record<string, unknown>) : {};
    const reason = reasonOf(fields);
    lines.unshift({
      at: now().toISOString(),
      level,
      message: String(typeof first === 'string' ? first : second).slice(0, maxTextLength),
      ...(reason === undefined ? {} : { reason: reason.slice(0, maxTextLength) }),
    });
    lines.length = Math.min(lines.length, keep);
  };
  const remembering = (level: RememberedLine['level'], inner: Logger): LogCall => {
    const write = inner[level] as (...args: unknown[]) => void;
    return (...args: unknown[]) => {
      remember(level, args);
      write(...args);
    };
  };
  const wrap = (inner: Logger): Logger => ({
    ...inner,
    warn: remembering('warn', inner),
    error: remembering('error', inner),
    child: part => wrap(inner.child(part)),
  });
  return { log: wrap(log), recent: () => [...lines] };
}

function reasonOf({ reason, why, err }: Record<string, unknown>): string | undefined {
  if (typeof reason === 'string') return reason;
  if (typeof why === 'string') return why;
  return err instanceof Error ? err.message : undefined;
}

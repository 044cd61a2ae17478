import type { Logger } from './logger.ts';

/** A warning or an error that was logged. */
export interface RememberedLine {
  at: string;
  level: 'warn' | 'error';
  message: string;
  /** What it gave as its reason, or its error's message. */
  reason?: string;
}

type LogCall = Logger['warn'];

const maxTextLength = 300;

/**
 * The same logger, whose last warnings and errors, those of its children among them, can be asked for; newest first.
 * They are remembered whatever the level: who asks for them has no log at hand.
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
      ...{ at: now().toISOString(), level },
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

function reasonOf({ reason, err }: Record<string, unknown>): string | undefined {
  if (typeof reason === 'string') return reason;
  return err instanceof Error ? err.message : undefined;
}

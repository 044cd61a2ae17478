import { spawn } from 'node:child_process';
import { ChildError, runChild } from '@coold/runtime';

/** The journal could not be read; the message says why. */
export class JournalError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'JournalError';
  }
}

/** Journal lines of coold, and systemd's lines about its unit. */
export interface OwnJournal {
  /**
   * Returns the last lines at this moment. When they exceed `maxBytes`, the oldest are dropped as whole lines.
   *
   * @throws JournalError
   */
  last(lines: number, maxBytes: number, signal: AbortSignal): Promise<{ text: string; truncated: boolean }>;
  /**
   * Yields the last lines and, with `follow`, all later ones until the signal aborts. Unread lines wait in the journal.
   *
   * @throws JournalError when reading ends by itself with an error
   */
  read(wanted: { lines: number; follow: boolean }, signal: AbortSignal): AsyncIterable<Buffer>;
}

const unit = 'coold.service';
const timeoutMs = 8000;
/** The longest part of journalctl's error message that is kept, in characters. */
const maxReason = 500;

export function createOwnJournal(program = 'journalctl'): OwnJournal {
  const argv = (lines: number) => [
    ...['--unit', unit, '--output', 'cat', '--no-pager', '--quiet', '--lines', String(lines)],
  ];
  return {
    async last(lines, maxBytes, signal) {
      const options = { timeoutMs, maxOutputBytes: maxBytes, signal, diesWithUs: true };
      const { code, stdout, stderr, truncated } = await runChild(program, argv(lines), options).catch(
        (cause: unknown) => {
          if (cause instanceof ChildError && cause.reason !== 'aborted')
            throw new JournalError(cause.message, { cause });
          throw cause;
        },
      );
      if (code !== 0)
        throw new JournalError(`${program}: ${stderr.trim().slice(0, maxReason) || `exit ${code}`}`);
      return { text: truncated ? stdout.slice(0, stdout.lastIndexOf('\n') + 1) : stdout, truncated };
    },
    async *read({ lines, follow }, signal) {
      const args = ['--pdeathsig', 'KILL', '--', program, ...argv(lines), ...(follow ? ['--follow'] : [])];
      const child = spawn('setpriv', args, { stdio: ['ignore', 'pipe', 'pipe'] });
      const end = () => child.kill('SIGKILL');
      signal.addEventListener('abort', end, { once: true });
      const ended = new Promise<string | undefined>(resolve => {
        child.once('error', error => resolve(error.message));
        child.once('close', code => resolve(code === 0 || signal.aborted ? undefined : `exit ${code}`));
      });
      let said = '';
      child.stderr?.on('data', (chunk: Buffer) => {
        said = `${said}${chunk.toString('utf8')}`.slice(0, maxReason);
      });
      try {
        if (signal.aborted) end();
        if (child.stdout !== null)
          for await (const chunk of child.stdout) yield Buffer.from(chunk as Uint8Array);
        const why = await ended;
        if (why !== undefined) throw new JournalError(`${program}: ${said.trim() || why}`);
      } finally {
        signal.removeEventListener('abort', end);
        end();
      }
    },
  };
}

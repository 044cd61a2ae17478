import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { runChild } from '@coold/runtime';
import { heldTable } from './packet-rules.ts';

/** Input of nft on one line, and a text by which its listing shows that this input was applied. */
export interface HeldText {
  line: string;
  mark: string;
}

/**
 * An nft table that no other program can change or remove, not even with `nft flush ruleset`. The kernel allows that only to
 * the socket that created the table (`flags owner`, Linux 5.12), and removes the table when that socket is closed. So an nft
 * process runs as long as the table exists, and dies with this process.
 */
export interface HeldTable {
  /** Applies the text, unless it is applied already. @throws Error when that fails, for example on a kernel without such tables */
  hold(text: HeldText): Promise<void>;
  /** Removes the table. */
  close(): void;
}

export interface HeldTableOptions {
  /** A command that starts nft, for example in another namespace. */
  enter?: readonly string[];
  /** How long nft may take, in ms. */
  timeoutMs?: number;
}

export function createHeldTable({ enter = [], timeoutMs = 5000 }: HeldTableOptions = {}): HeldTable {
  let holder: Holder | undefined;
  let held: string | undefined;

  async function stands(mark: string): Promise<boolean> {
    const [program = '', ...args] = [...enter, 'nft', 'list', 'table', 'inet', heldTable];
    const { stdout } = await runChild(program, args, { timeoutMs });
    return /^\tflags owner$/m.test(stdout) && stdout.includes(mark);
  }

  return {
    async hold({ line, mark }) {
      if (holder?.isAlive() === true && held === mark) return;
      held = undefined;
      if (holder?.isAlive() !== true) holder = startHolder(enter);
      holder.write(line);
      for (const end = performance.now() + timeoutMs; performance.now() < end; await delay(20)) {
        if (await stands(mark)) {
          held = mark;
          return;
        }
        if (!holder.isAlive() || holder.said() !== '') break;
      }
      const why = holder.said().trim().replaceAll(/\s+/g, ' ');
      holder.end();
      throw new Error(
        `nft does not hold table ${heldTable}: ${why === '' ? 'the table does not exist' : why}`,
      );
    },
    close() {
      holder?.end();
      held = undefined;
    },
  };
}

interface Holder {
  isAlive(): boolean;
  write(line: string): void;
  /** Returns what nft wrote to stderr since its start. */
  said(): string;
  end(): void;
}

const maxWords = 500;

/** Starts an nft that executes each line of its input as one transaction, on one socket. */
function startHolder(enter: readonly string[]): Holder {
  const args = ['--pdeathsig', 'KILL', '--', ...enter, 'nft', '-i'];
  const child: ChildProcess = spawn('setpriv', args, {
    stdio: ['pipe', 'ignore', 'pipe'],
    // nft reads and writes a history file in its home.
    env: { ...process.env, LC_ALL: 'C', HOME: '/nonexistent' },
  });
  let words = '';
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  child.once('error', error => {
    words = error.message;
    over();
  });
  child.once('exit', over);
  child.stdin?.on('error', over);
  child.stderr?.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString('utf8')).slice(0, maxWords);
  });
  return {
    isAlive: () => !isOver,
    write: line => void child.stdin?.write(`${line}\n`),
    said: () => words,
    end: () => void child.kill('SIGKILL'),
  };
}

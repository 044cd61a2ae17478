import { asAnsi, type Line } from './styled.ts';

/** An alternate screen on which only changed lines are written. */
export interface Terminal extends Disposable {
  show(lines: readonly Line[]): void;
}

/** Enters the alternate screen, clears it and hides the cursor. */
const enter = '\u001b[?1049h\u001b[?25l\u001b[2J';
const leave = '\u001b[?25h\u001b[?1049l';

/** @param write writes to a terminal or to a recording of one */
export function openTerminal(write: (text: string) => void, color: boolean): Terminal {
  let shown: string[] = [];
  write(enter);
  return {
    show(lines) {
      const next = lines.map(line => asAnsi(line, color));
      const changed = next.flatMap((text, row) =>
        text === shown[row] ? [] : [`\u001b[${row + 1};1H${text}\u001b[K`],
      );
      shown = next;
      if (changed.length > 0) write(changed.join(''));
    },
    [Symbol.dispose]: () => write(leave),
  };
}

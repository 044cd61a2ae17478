import { StringDecoder } from 'node:string_decoder';

export interface OutputLine {
  text: string;
  /** The line ended with a carriage return, so a terminal would overwrite it with the next line. */
  transient: boolean;
}

const maxLineLength = 4096;

/** Returns a splitter that cuts a tool's output into lines as it arrives. A line of more than 4096 characters becomes several. */
export function createLineSplitter(): {
  push(chunk: Buffer): OutputLine[];
  /** Returns the rest that has no line end. */
  end(): OutputLine[];
} {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return {
    push(chunk) {
      const pieces = (rest + decoder.write(chunk)).split(/(\r\n|\n|\r(?!$))/);
      rest = pieces.pop() ?? '';
      const lines: OutputLine[] = [];
      for (let i = 0; i < pieces.length; i += 2) lines.push(...cut(pieces[i] ?? '', pieces[i + 1] === '\r'));
      while (rest.length > maxLineLength) {
        lines.push({ text: rest.slice(0, maxLineLength), transient: false });
        rest = rest.slice(maxLineLength);
      }
      return lines;
    },
    end() {
      const last = rest + decoder.end();
      rest = '';
      return last === '' ? [] : cut(last.replace(/\r$/, ''), last.endsWith('\r'));
    },
  };
}

function cut(text: string, transient: boolean): OutputLine[] {
  if (text.length <= maxLineLength) return [{ text, transient }];
  const lines: OutputLine[] = [];
  for (let at = 0; at < text.length; at += maxLineLength)
    lines.push({ text: text.slice(at, at + maxLineLength), transient });
  return lines;
}

import { StringDecoder } from 'node:string_decoder';

/** Splits output into lines as it arrives. */
export interface Lines {
  take(chunk: Buffer): void;
  /** Call at the end of the output. Text after the last line break is a line too. */
  end(): void;
}

export function createLines(onLine: (line: string) => void): Lines {
  const decoder = new StringDecoder('utf8');
  /** The beginning of a line that is not complete yet. */
  let begun = '';
  return {
    take(chunk) {
      const lines = (begun + decoder.write(chunk)).split('\n');
      begun = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    },
    end() {
      const rest = begun + decoder.end();
      begun = '';
      if (rest !== '') onLine(rest);
    },
  };
}

import { StringDecoder } from 'node:string_decoder';

/** Cuts output into lines as it comes. */
export interface Lines {
  take(chunk: Buffer): void;
  /** The output has ended; what follows its last line break is a line, too. */
  end(): void;
}

export function createLines(onLine: (line: string) => void): Lines {
  const decoder = new StringDecoder('utf8');
  /** What a line began with that is not whole yet. */
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

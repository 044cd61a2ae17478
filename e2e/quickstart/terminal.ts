// Prints the quickstart's output: progress on stderr, and one line of JSON on stdout.
import { asCurl } from './curl.ts';
import type { Narrator } from './story/run-story.ts';
import type { Answer } from './story/step.ts';

/** Prints a progress line with the seconds since the start. */
export const say = (line: string) =>
  void process.stderr.write(`quickstart: ${(performance.now() / 1000).toFixed(1).padStart(5)} s  ${line}\n`);

/** Prints a line unchanged, to be pasted or read. */
export const show = (line = '') => void process.stderr.write(`${line}\n`);

/** Longer answers are cut off. */
const widest = 160;

/** Shows each call as a command, followed by its answer. */
export function narrate(socketPath: string): Narrator {
  return {
    begin: (title, number, of) => {
      show();
      say(`[${String(number).padStart(2)}/${of}] ${title}`);
    },
    call: call => show(asCurl(socketPath, call)),
    answer: answer => show(`# ${shortened(answer)}`),
    output: ({ lines }) => show(`# the stream has ended: ${lines.length} lines`),
  };
}

function shortened({ status, body }: Answer): string {
  const text = body === undefined ? `${status}` : `${status} ${JSON.stringify(body)}`;
  return text.length > widest ? `${text.slice(0, widest)}…` : text;
}

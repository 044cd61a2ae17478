import { StringDecoder } from 'node:string_decoder';
import { CorrosionError } from './failure.ts';

/** The longest line, in characters. A row of coold's tables takes a few hundred bytes. */
const maxLineLength = 1 << 20;

/**
 * Yields the lines of a stream as they arrive, so that the rows of a mesh are never in memory as one text.
 *
 * @throws CorrosionError `malformed` for a line without end, `unreachable` when the stream ends within a line
 */
export async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLineLength)
      throw new CorrosionError('malformed', `answered a line of more than ${maxLineLength} characters`);
    for (const line of lines) if (line !== '') yield line;
  }
  if (rest !== '') throw new CorrosionError('unreachable', 'broke off within a line');
}

/** A file of an archive. */
export interface ArchivedFile {
  /** Path with `/`, at most 100 bytes. */
  name: string;
  content: Buffer;
}

const blockBytes = 512;

/**
 * Returns a tar archive (POSIX ustar) of these files, each readable by its owner only.
 *
 * @param at the files' time
 * @throws Error for a name that is too long
 */
export function tar(files: readonly ArchivedFile[], at: Date): Buffer {
  const blocks = files.flatMap(({ name, content }) => [
    headerOf(name, content.length, at),
    content,
    Buffer.alloc((blockBytes - (content.length % blockBytes)) % blockBytes),
  ]);
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockBytes)]);
}

function headerOf(name: string, size: number, at: Date): Buffer {
  const header = Buffer.alloc(blockBytes);
  if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long for an archive`);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  const fields: [offset: number, text: string][] = [
    [0, name],
    [100, octal(0o600, 7)],
    [108, octal(0, 7)],
    [116, octal(0, 7)],
    [124, octal(size, 11)],
    [136, octal(Math.floor(at.getTime() / 1000), 11)],
    [148, '        '],
    [156, '0'],
    [257, 'ustar\u000000'],
    [265, 'root'],
    [297, 'root'],
  ];
  for (const [offset, text] of fields) header.write(text, offset, 'utf8');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

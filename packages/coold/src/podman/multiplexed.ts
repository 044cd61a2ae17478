/** A part of the output of a container or of a program in it. */
export interface Frame {
  stream: 'stdout' | 'stderr';
  data: Buffer;
}

const headerLength = 8;
/** The longest frame, in bytes. Podman's frames are lines or reads of a pipe, 16 and 32 KiB. */
const maxFrameLength = 1 << 20;

/**
 * Splits the multiplexed stream of Docker and Podman: a header with the stream's number (1 stdout, 2 stderr, 3 Podman's
 * own messages) and a length, then that many bytes.
 *
 * @returns a function that takes bytes as they come and returns completed frames
 * @throws Error when the bytes are not frames
 */
export function demultiplexer(): (bytes: Buffer) => Frame[] {
  let rest: Buffer = Buffer.alloc(0);
  return bytes => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    const frames: Frame[] = [];
    while (rest.length >= headerLength) {
      const kind = rest[0] ?? 0;
      const length = rest.readUInt32BE(4);
      if (kind > 3 || length > maxFrameLength) throw new Error('expected a frame of stdout or stderr');
      if (rest.length < headerLength + length) break;
      const data = rest.subarray(headerLength, headerLength + length);
      frames.push({ stream: kind >= 2 ? 'stderr' : 'stdout', data });
      rest = rest.subarray(headerLength + length);
    }
    return frames;
  };
}

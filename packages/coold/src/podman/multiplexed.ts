/** A piece of what a container or a program in it wrote. */
export interface Frame {
  stream: 'stdout' | 'stderr';
  data: Buffer;
}

const headerLength = 8;
/** Podman's frames are lines or reads of a pipe, 16 and 32 KiB; one beyond this is no frame. */
const maxFrameLength = 1 << 20;

/**
 * Reads the two streams out of one, as Docker and Podman multiplex them: a header of the stream's number (1 stdout, 2 stderr,
 * 3 what Podman itself has to say) and the length, then that many bytes.
 *
 * @returns a function from the bytes as they come to the frames that they complete
 * @throws Error when the bytes are no frames
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

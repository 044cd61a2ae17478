import type { Frame } from '../podman/multiplexed.ts';

/** Makes frames for the stream out of what Podman sends: not too long, and no UTF-8 character cut in two. Pure. */
export interface Framer {
  /** What can go out now; the beginning of a character is held back until its rest has come. */
  push(frame: Frame): Frame[];
  /** What was held back. */
  end(): Frame[];
}

/** @param maxBytes of one frame, at least 4 */
export function createFramer(maxBytes: number): Framer {
  const held = new Map<Frame['stream'], Buffer>();
  return {
    push({ stream, data: more }) {
      const before = held.get(stream);
      let rest = before === undefined ? more : Buffer.concat([before, more]);
      held.delete(stream);
      const tail = unfinished(rest, rest.length);
      // A copy, since it would keep all of what it was cut from.
      if (tail > 0) held.set(stream, Buffer.from(rest.subarray(rest.length - tail)));
      rest = rest.subarray(0, rest.length - tail);
      const frames: Frame[] = [];
      while (rest.length > 0) {
        const size = wholeCharacters(rest, maxBytes);
        frames.push({ stream, data: rest.subarray(0, size) });
        rest = rest.subarray(size);
      }
      return frames;
    },
    end() {
      const frames = [...held].map(([stream, data]) => ({ stream, data }));
      held.clear();
      return frames;
    },
  };
}

/** How many of the first `max` bytes can go without cutting a character in two; 0 when not one has room. */
export function wholeCharacters(data: Uint8Array, max: number): number {
  return data.length <= max ? data.length : max - unfinished(data, max);
}

/** The length of the beginning of a character that ends at `end` without its rest: 0 to 3. */
function unfinished(data: Uint8Array, end: number): number {
  for (let back = 1; back <= Math.min(3, end); back += 1) {
    const byte = data[end - back] ?? 0;
    const isContinuation = (byte & 0xc0) === 0x80;
    if (!isContinuation) return characterLength(byte) > back ? back : 0;
  }
  return 0;
}

/** Of the character that begins with this byte; what begins none stands for itself. */
function characterLength(first: number): number {
  if (first < 0xc2 || first > 0xf4) return 1;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

import type { Frame } from './multiplexed.ts';

/** Splits Podman's output into frames of limited length that do not split a UTF-8 character. Pure. */
export interface Framer {
  /** Returns the frames that can be sent now. The beginning of a character is held back until the rest arrives. */
  push(frame: Frame): Frame[];
  /** Returns what was held back. */
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
      // A copy, since a slice would keep the whole buffer alive.
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

/** Returns how many of the first `max` bytes can be sent without splitting a character, 0 when no character fits. */
export function wholeCharacters(data: Uint8Array, max: number): number {
  return data.length <= max ? data.length : max - unfinished(data, max);
}

/** Returns the length of an incomplete character that ends at `end`: 0 to 3. */
function unfinished(data: Uint8Array, end: number): number {
  for (let back = 1; back <= Math.min(3, end); back += 1) {
    const byte = data[end - back] ?? 0;
    const isContinuation = (byte & 0xc0) === 0x80;
    if (!isContinuation) return characterLength(byte) > back ? back : 0;
  }
  return 0;
}

/** Returns the length of the character that begins with this byte, 1 for a byte that begins none. */
function characterLength(first: number): number {
  if (first < 0xc2 || first > 0xf4) return 1;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

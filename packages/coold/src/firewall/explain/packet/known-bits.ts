/** Bytes of which some bits are unknown: a bit of `bytes` counts only where the same bit of `known` is 1. Immutable. */
export interface KnownBits {
  readonly bytes: Uint8Array;
  readonly known: Uint8Array;
}

/** `maybe`: what is known does not decide it. */
export type Answer = 'yes' | 'no' | 'maybe';

export function allKnown(bytes: Uint8Array): KnownBits {
  return { bytes, known: new Uint8Array(bytes.length).fill(0xff) };
}

export function unknownBytes(length: number): KnownBits {
  return { bytes: new Uint8Array(length), known: new Uint8Array(length) };
}

/** A number in the machine's byte order, in which the kernel keeps marks and states. */
export function hostNumber(value: number, length: 1 | 2 | 4 = 4): KnownBits {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return allKnown(Uint8Array.from(bytes.subarray(0, length)));
}

/** A number in network byte order, as in packets. */
export function packetNumber(value: number, length: 1 | 2 | 4): KnownBits {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return allKnown(Uint8Array.from(bytes.subarray(4 - length)));
}

/** Returns a part of the bytes. Bytes beyond the end are unknown. */
export function slice({ bytes, known }: KnownBits, from: number, length: number): KnownBits {
  const part = unknownBytes(length);
  part.bytes.set(bytes.subarray(from, from + length));
  part.known.set(known.subarray(from, from + length));
  return part;
}

/** Concatenates values. */
export function joined(...parts: readonly KnownBits[]): KnownBits {
  return {
    bytes: Uint8Array.from(parts.flatMap(({ bytes }) => [...bytes])),
    known: Uint8Array.from(parts.flatMap(({ known }) => [...known])),
  };
}

export function isKnown({ known }: KnownBits): boolean {
  return known.every(byte => byte === 0xff);
}

/** Whether a value begins with these bytes. */
export function equals({ bytes, known }: KnownBits, wanted: Uint8Array): Answer {
  let answer: Answer = 'yes';
  for (const [index, byte] of wanted.entries()) {
    const mask = known[index] ?? 0;
    if ((((bytes[index] ?? 0) ^ byte) & mask) !== 0) return 'no';
    if (mask !== 0xff) answer = 'maybe';
  }
  return answer;
}

/**
 * Compares the first bytes in network order. Returns a negative number, 0 or a positive number; undefined when unknown
 * bits decide.
 */
export function compare({ bytes, known }: KnownBits, other: Uint8Array): number | undefined {
  for (const [index, byte] of other.entries()) {
    if (known[index] !== 0xff) return undefined;
    const difference = (bytes[index] ?? 0) - byte;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Returns `(value & mask) ^ xor`, byte by byte. Bits that the mask clears become known. */
export function masked({ bytes, known }: KnownBits, mask: Uint8Array, xor: Uint8Array): KnownBits {
  const result = unknownBytes(mask.length);
  for (const [index, bits] of mask.entries()) {
    result.bytes[index] = ((bytes[index] ?? 0) & bits) ^ (xor[index] ?? 0);
    result.known[index] = (known[index] ?? 0) | (~bits & 0xff);
  }
  return result;
}

/** Returns the bits that two values have in common: what is known of a value that is one of the two. */
export function common(a: KnownBits, b: KnownBits): KnownBits {
  return {
    bytes: a.bytes,
    known: a.known.map(
      (mask, index) => mask & (b.known[index] ?? 0) & ~((a.bytes[index] ?? 0) ^ (b.bytes[index] ?? 0)) & 0xff,
    ),
  };
}

/** Reverses each group of `size` bytes, as between machine order and network order. */
export function swapped(value: KnownBits, size: number): KnownBits {
  const turn = (given: Uint8Array) => {
    const result = Uint8Array.from(given);
    for (let at = 0; at + size <= result.length; at += size) result.subarray(at, at + size).reverse();
    return result;
  };
  return { bytes: turn(value.bytes), known: turn(value.known) };
}

export function negated(answer: Answer): Answer {
  if (answer === 'maybe') return 'maybe';
  return answer === 'yes' ? 'no' : 'yes';
}

/** Returns `yes` when all answers are, `no` when one is, else `maybe`. */
export function all(answers: readonly Answer[]): Answer {
  if (answers.includes('no')) return 'no';
  return answers.includes('maybe') ? 'maybe' : 'yes';
}

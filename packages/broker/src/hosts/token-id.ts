import type { ValueType } from '@coold/runtime';

export const maxTokenIdLength = 256;

/** The form of a token's `jti`. */
export const tokenIdPattern = /^[!"$-~][!-~]*$/;

/** A token's `jti` that can be written into a line of a file unchanged. */
export const tokenId: ValueType<string> = {
  expected: `1 to ${maxTokenIdLength} printable ASCII characters without spaces, not beginning with "#"`,
  parse: text => (text.length <= maxTokenIdLength && tokenIdPattern.test(text) ? text : undefined),
};

import type { ValueType } from '@coold/runtime';

export const maxTokenIdLength = 256;

/** What a token's `jti` has to fit. */
export const tokenIdPattern = /^[!"$-~][!-~]*$/;

/** A token's `jti` that a line of a file can hold as it is. */
export const tokenId: ValueType<string> = {
  expected: `1 to ${maxTokenIdLength} printable ASCII characters without spaces, not beginning with "#"`,
  parse: text => (text.length <= maxTokenIdLength && tokenIdPattern.test(text) ? text : undefined),
};

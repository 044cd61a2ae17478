import { hostId } from './host-id.ts';

/** Tokens that are no longer believed, whatever their signature says. */
export interface DenyList {
  has(token: { hostId: string; tokenId: string | undefined }): boolean;
  /** Entries. */
  size: number;
}

export const emptyDenyList: DenyList = { has: () => false, size: 0 };

const maxTokenIdLength = 256;

/**
 * Reads a deny list: one entry a line, `sub HOST-ID` for every token of a host or `jti TOKEN-ID` for one token; what
 * follows a # that begins a line, or stands behind white space, is a comment.
 *
 * @throws Error naming the first line that is neither
 */
export function parseDenyList(text: string): DenyList {
  const hosts = new Set<string>();
  const tokens = new Set<string>();
  for (const [index, line] of text.split('\n').entries()) {
    const words = line
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .split(/\s+/);
    const [kind = '', value = '', ...more] = words;
    if (kind === '') continue;
    const wrong = (expected: string) => new Error(`line ${index + 1}: expected ${expected}`);
    if (value === '' || more.length > 0 || (kind !== 'sub' && kind !== 'jti'))
      throw wrong('"sub HOST-ID" or "jti TOKEN-ID"');
    if (kind === 'sub') {
      if (hostId.parse(value) === undefined) throw wrong(hostId.expected);
      hosts.add(value);
    } else {
      if (value.length > maxTokenIdLength)
        throw wrong(`a token id of at most ${maxTokenIdLength} characters`);
      tokens.add(value);
    }
  }
  return {
    has: ({ hostId: host, tokenId }) => hosts.has(host) || (tokenId !== undefined && tokens.has(tokenId)),
    size: hosts.size + tokens.size,
  };
}

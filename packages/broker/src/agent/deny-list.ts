import { hostId } from '../hosts/host-id.ts';
import { maxTokenIdLength } from '../hosts/token-id.ts';

/** Tokens that are no longer accepted, although their signature is valid. */
export interface DenyList {
  has(token: { hostId: string; tokenId: string | undefined }): boolean;
  /** The number of entries. */
  size: number;
  /** Host ids, and token ids, in the order of the list. */
  hosts: ReadonlySet<string>;
  tokens: ReadonlySet<string>;
}

export const emptyDenyList: DenyList = { has: () => false, size: 0, hosts: new Set(), tokens: new Set() };

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
    const [kind = '', value = '', ...more] = wordsOf(line);
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
    hosts,
    tokens,
  };
}

/** A token to add to a deny list, or to remove. */
export interface DenyListEdit {
  tokenId: string;
  isRevoked: boolean;
}

/**
 * Returns the text of a deny list after these edits; of several for one token the last counts. Comments and other
 * entries stay. Takes time by the sum of the list's length and the number of edits, not by their product.
 */
export function editTokens(text: string, edits: readonly DenyListEdit[]): string {
  const wanted = new Map(edits.map(({ tokenId, isRevoked }) => [tokenId, isRevoked]));
  const listed = parseDenyList(text).tokens;
  const isOut = (tokenId: string) => wanted.get(tokenId) === false && listed.has(tokenId);
  const isKept = (line: string) => {
    const [kind, value = ''] = wordsOf(line);
    return kind !== 'jti' || !isOut(value);
  };
  const kept = [...wanted.keys()].some(isOut) ? text.split('\n').filter(isKept).join('\n') : text;
  const added = [...wanted].filter(([tokenId, isRevoked]) => isRevoked && !listed.has(tokenId));
  if (added.length === 0) return kept;
  const end = kept === '' || kept.endsWith('\n') ? '' : '\n';
  return `${kept}${end}${added.map(([tokenId]) => `jti ${tokenId}\n`).join('')}`;
}

function wordsOf(line: string): string[] {
  return line
    .replace(/(^|\s)#.*$/, '')
    .trim()
    .split(/\s+/);
}

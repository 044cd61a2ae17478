import type { ValueType } from '@coold/runtime';

/** The origin of Corrosion's API (docs/contract.md §5): scheme, host and port, without a path. */
export const corrosionUrl: ValueType<string> = {
  expected: 'a URL such as http://127.0.0.1:8080',
  parse(value) {
    if (!URL.canParse(value)) return undefined;
    const { protocol, hostname, pathname, username, password, search, hash, origin } = new URL(value);
    const isBare = pathname === '/' && `${username}${password}${search}${hash}` === '';
    return (protocol === 'http:' || protocol === 'https:') && hostname !== '' && isBare ? origin : undefined;
  },
};

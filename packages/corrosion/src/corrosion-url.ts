import type { ValueType } from '@coold/runtime';

/**
 * Where Corrosion's API is (docs/contract.md §5): a host and a port, nothing below it. Plain HTTP, since it is on this
 * host.
 */
export const corrosionUrl: ValueType<string> = {
  expected: 'a URL such as http://127.0.0.1:8080',
  parse(value) {
    if (!URL.canParse(value)) return undefined;
    const { protocol, hostname, pathname, username, password, search, hash, origin } = new URL(value);
    const isBare = pathname === '/' && `${username}${password}${search}${hash}` === '';
    return (protocol === 'http:' || protocol === 'https:') && hostname !== '' && isBare ? origin : undefined;
  },
};

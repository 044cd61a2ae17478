import { BlockList, isIPv4 } from 'node:net';

/**
 * How a configuration value is read from text (docs/contract.md §8). `expected` completes the sentence "expected …" in the
 * error for a bad value. `parse` returns undefined for a bad value.
 */
export interface ValueType<T> {
  expected: string;
  parse(text: string): T | undefined;
}

export const text: ValueType<string> = {
  expected: 'text',
  parse: value => (value === '' || hasControlCharacter(value) ? undefined : value),
};

export const absolutePath: ValueType<string> = {
  expected: 'an absolute path',
  parse: value => (value.startsWith('/') && !hasControlCharacter(value) ? value : undefined),
};

export const boolean: ValueType<boolean> = {
  expected: '1, true, yes, 0, false or no',
  parse(value) {
    switch (value.toLowerCase()) {
      case '1':
      case 'true':
      case 'yes':
        return true;
      case '0':
      case 'false':
      case 'no':
        return false;
      default:
        return undefined;
    }
  },
};

/** A whole number within bounds, in plain decimal. */
export function integer(min: number, max: number): ValueType<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    parse(value) {
      if (!/^(0|[1-9]\d{0,15})$/.test(value)) return undefined;
      const number = Number(value);
      return number >= min && number <= max ? number : undefined;
    },
  };
}

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A duration like `500ms`, `2s`, `1m`, `12h` or `30d`, in ms. */
export const duration: ValueType<number> = {
  expected: 'a duration such as 500ms, 2s or 1m',
  parse(value) {
    const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(value);
    const ms = Number(match?.[1]) * unitMs[match?.[2] as keyof typeof unitMs];
    return Number.isSafeInteger(ms) ? ms : undefined;
  },
};

export const ipv4: ValueType<string> = {
  expected: 'an IPv4 address such as 100.64.0.5',
  parse: value => (isIPv4(value) ? value : undefined),
};

export interface Address {
  host: string;
  port: number;
}

/** `0.0.0.0:6443` or `[::]:6443`: an address of this machine to listen on. */
export const bindAddress: ValueType<Address> = {
  expected: 'an address and port such as 0.0.0.0:6443',
  parse(value) {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(value);
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3]);
    if (host === undefined || port > 65_535) return undefined;
    return URL.canParse(`tcp://${match?.[1] === undefined ? host : `[${host}]`}`) &&
      (match?.[1] !== undefined || isIPv4(host))
      ? { host, port }
      : undefined;
  },
};

/** A single address to listen on: never the wildcard address in any notation (docs/contract.md §3). */
export const oneAddress: ValueType<Address> = {
  expected: 'one address of this host and a port such as 100.64.0.5:8443, never 0.0.0.0 or [::]',
  parse(value) {
    const address = bindAddress.parse(value);
    if (address === undefined) return undefined;
    const wildcards = new BlockList();
    wildcards.addAddress('0.0.0.0', 'ipv4'); // finds ::ffff:0.0.0.0 too
    wildcards.addAddress('::', 'ipv6');
    return wildcards.check(address.host, isIPv4(address.host) ? 'ipv4' : 'ipv6') ? undefined : address;
  },
};

/** Comma-separated values of one type. Spaces around values and empty values are ignored. */
export function list<T>(element: ValueType<T>): ValueType<T[]> {
  return {
    expected: `a comma-separated list, each ${element.expected}`,
    parse(value) {
      const items = value
        .split(',')
        .map(item => item.trim())
        .filter(item => item !== '')
        .map(element.parse);
      const good = items.filter(item => item !== undefined);
      return good.length === items.length ? good : undefined;
    },
  };
}

function hasControlCharacter(value: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  return /[\u0000-\u001f\u007f]/.test(value);
}

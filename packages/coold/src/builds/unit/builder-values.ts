import { isIP } from 'node:net';
import { readByteSize, readFileCount } from '@coold/builder-core';
import type { ValueType } from '@coold/runtime';
import { isPlainPath } from './unit.ts';

/** A path that systemd reads unchanged in a property of a unit. */
export const unitPath: ValueType<string> = {
  expected: 'an absolute path of letters, digits and "_.,:@+-"',
  parse: value => (isPlainPath(value) ? value : undefined),
};

/** A value of systemd's MemoryMax. */
export const memoryLimit: ValueType<string> = {
  expected: 'an amount of memory such as 2G, 512M or 50%',
  parse: value => (/^(?:[1-9]\d{0,15}[KMGT]?|[1-9]\d?%|100%|infinity)$/.test(value) ? value : undefined),
};

/** An amount of bytes as the builder reads it. */
export const diskLimit: ValueType<string> = {
  expected: 'an amount of bytes such as 10G, 512M or infinity',
  parse: value => (readByteSize(value) === undefined ? undefined : value),
};

/** A number of files as the builder reads it. */
export const fileLimit: ValueType<string> = {
  expected: 'a number of files such as 2000000 or infinity',
  parse: value => (readFileCount(value) === undefined ? undefined : value),
};

/** A value of systemd's CPUQuota. */
export const cpuQuota: ValueType<string> = {
  expected: 'a share of one CPU such as 50% or 200%',
  parse: value => (/^[1-9]\d{0,5}%$/.test(value) ? value : undefined),
};

/** A network in the notation of systemd's IPAddressDeny. */
export const network: ValueType<string> = {
  expected: 'a network such as 10.210.0.0/16 or fd00::/8',
  parse(value) {
    const [address = '', length = '', ...rest] = value.split('/');
    const family = isIP(address);
    if (family === 0 || address.includes('%') || rest.length > 0 || !/^(?:0|[1-9]\d{0,2})$/.test(length))
      return undefined;
    return Number(length) <= (family === 4 ? 32 : 128) ? value : undefined;
  },
};

/** A registry in the notation of image names: a host, with a port or without. */
export const registry: ValueType<string> = {
  expected: 'a registry such as registry.internal:5000 or 10.0.0.5:5000',
  parse: value =>
    /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?(?::\d{1,5})?$/.test(value) ? value : undefined,
};

import { type DiskLimits, readByteSize, readFileCount } from '@coold/builder-core';

/** The defaults of docs/contract.md §8, used when coold sets no other value. */
const defaults = {
  COOLD_BUILDER_DISK_MAX: '10G',
  COOLD_BUILDER_INODES_MAX: '2000000',
  COOLD_BUILDER_CACHE_MAX: '5G',
};

/** Reads the disk limits from the environment. @throws Error naming the variable with a wrong value */
export function readDiskLimits(env: NodeJS.ProcessEnv): DiskLimits {
  const read = (name: keyof typeof defaults, what: string, parse: (text: string) => number | undefined) => {
    const text = env[name] ?? defaults[name];
    const amount = parse(text);
    if (amount === undefined)
      throw new Error(`${name}: ${JSON.stringify(text)}: expected ${what} such as ${defaults[name]}`);
    return amount;
  };
  return {
    disk: {
      bytes: read('COOLD_BUILDER_DISK_MAX', 'an amount of bytes', readByteSize),
      inodes: read('COOLD_BUILDER_INODES_MAX', 'a number of files', readFileCount),
    },
    cache: read('COOLD_BUILDER_CACHE_MAX', 'an amount of bytes', readByteSize),
  };
}

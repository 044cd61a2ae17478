import { type DiskLimits, readByteSize } from '@coold/builder-core';

/** As docs/contract.md §8 has them, where coold says nothing else. */
const defaults = { COOLD_BUILDER_DISK_MAX: '10G', COOLD_BUILDER_CACHE_MAX: '5G' };

/** @throws Error naming the variable for a value that is no amount of bytes */
export function readDiskLimits(env: NodeJS.ProcessEnv): DiskLimits {
  const read = (name: keyof typeof defaults) => {
    const text = env[name] ?? defaults[name];
    const bytes = readByteSize(text);
    if (bytes === undefined)
      throw new Error(
        `${name}: ${JSON.stringify(text)}: expected an amount of bytes such as ${defaults[name]}`,
      );
    return bytes;
  };
  return { disk: read('COOLD_BUILDER_DISK_MAX'), cache: read('COOLD_BUILDER_CACHE_MAX') };
}

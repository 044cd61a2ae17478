/** Kinds of machine on which C is called: little-endian and of 64 bits. */
const known: readonly string[] = ['x64', 'arm64'];

/** Node's interface to C. @returns undefined: not on this machine, or Node was started with `--no-experimental-ffi` */
export function loadFfi(): typeof import('node:ffi') | undefined {
  if (process.platform !== 'linux' || !known.includes(process.arch)) return undefined;
  return withoutWarning(() => process.getBuiltinModule('node:ffi'));
}

/**
 * Returns what `load` does, which warns of nothing meanwhile: that something is experimental is known, since Node comes with the
 * package, in one version. The log is of JSON lines alone.
 */
export function withoutWarning<T>(load: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** The architectures on which C is called: little-endian and 64-bit. */
const known: readonly string[] = ['x64', 'arm64'];

/** Returns Node's interface to C; undefined on other machines, or when Node was started with `--no-experimental-ffi`. */
export function loadFfi(): typeof import('node:ffi') | undefined {
  if (process.platform !== 'linux' || !known.includes(process.arch)) return undefined;
  return withoutWarning(() => process.getBuiltinModule('node:ffi'));
}

/**
 * Returns the result of `load`, and suppresses Node's warnings meanwhile. That node:ffi is experimental is known,
 * because the package contains one version of Node. The log must consist of JSON lines only.
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

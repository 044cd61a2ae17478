import { writeFileSync } from 'node:fs';

/**
 * Sets the name of this process in ps, in top, and in the journal as `_COMM`, where Node sets node-MainThread. The command line
 * does not change. Does nothing where the kernel does not allow it.
 *
 * @param name the kernel keeps its first 15 bytes
 */
export function nameProcess(name: string): void {
  try {
    writeFileSync('/proc/self/comm', name);
  } catch {
    // Nothing depends on the name.
  }
}

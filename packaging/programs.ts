/** A program of the package, and on which hosts it is installed. */
export interface Program {
  /** Its name in /usr/local/bin. */
  name: string;
  /** Its main module, from the root of the repository. */
  entry: string;
  /** `host`: where containers run. `central`: beside Laravel. */
  role: 'host' | 'central';
  /** What Node is told before the program's own arguments; without blanks. */
  nodeFlags: readonly string[];
}

/**
 * Everything the package holds; a program joins it by a line here. coold shares its host with the containers it is for:
 * left alone, V8 would keep 70 MB of what reading 10,000 rules once has left behind.
 */
export const programs: readonly Program[] = [
  { name: 'coold', entry: 'packages/coold/src/main.ts', role: 'host', nodeFlags: ['--optimize-for-size'] },
  { name: 'builder', entry: 'packages/builder/src/main.ts', role: 'host', nodeFlags: [] },
  { name: 'broker', entry: 'packages/broker/src/main.ts', role: 'central', nodeFlags: [] },
];

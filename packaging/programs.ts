/** A program of the package, and on which hosts it is installed. */
export interface Program {
  /** Its name in /usr/local/bin. */
  name: string;
  /** Other names of the same program among the release assets, for callers that know it by them. */
  otherNames?: readonly string[];
  /** Its main module, from the root of the repository. */
  entry: string;
  /** Main modules of its threads, each bundled under its own name. */
  threads?: readonly string[];
  /** `host`: where containers run. `central`: beside Laravel. */
  role: 'host' | 'central';
}

/** Everything the package holds; a program joins it by a line here. */
export const programs: readonly Program[] = [
  {
    name: 'coold',
    entry: 'packages/coold/src/main.ts',
    threads: ['packages/coold/src/dns/listen/dns-thread.ts'],
    role: 'host',
  },
  { name: 'builder', entry: 'packages/builder/src/main.ts', role: 'host' },
  { name: 'broker', otherNames: ['scheduler'], entry: 'packages/broker/src/main.ts', role: 'central' },
];

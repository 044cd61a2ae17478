/** A kind of machine that the package is made for, under each of its names. */
export interface Architecture {
  /** As Node says it. */
  node: 'x64' | 'arm64';
  /** As `uname -m` says it. */
  machine: 'x86_64' | 'aarch64';
  /** As Debian says it, and the names of release assets. */
  debian: 'amd64' | 'arm64';
  /** As GNU's tools and Debian's folders say it. */
  triplet: 'x86_64-linux-gnu' | 'aarch64-linux-gnu';
}

export const architectures: readonly Architecture[] = [
  { node: 'x64', machine: 'x86_64', debian: 'amd64', triplet: 'x86_64-linux-gnu' },
  { node: 'arm64', machine: 'aarch64', debian: 'arm64', triplet: 'aarch64-linux-gnu' },
];

/**
 * The kind of machine that this build runs on.
 *
 * @throws Error on a machine that the package is not made for
 */
export function ownArchitecture(): Architecture {
  const own = architectures.find(({ node }) => node === process.arch);
  if (own === undefined) throw new Error(`the package is made on x64 and arm64, this is ${process.arch}`);
  return own;
}

/**
 * Programs that start a builder with the buildah, git and crun of another system, such as Debian 13's: its `/usr` in place of
 * this machine's, for that builder alone, which has mounts of its own. All else is this machine's.
 *
 * @param root a folder with that system, as mmdebstrap makes it; absent: this machine's own
 */
export function withSystemOf(root: string | undefined): string[] {
  if (root === undefined) return [];
  return ['sh', '-c', 'mount --rbind "$0/usr" /usr && exec "$@"', root];
}

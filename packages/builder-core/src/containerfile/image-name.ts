/**
 * A name as Docker completes it: without a registry it means docker.io, and there without a user `library`. An image's id stays
 * as it is.
 *
 * @param name an image reference, see isImageReference
 */
export function completeImageName(name: string): string {
  if (/^[0-9a-f]{64}$/.test(name)) return name;
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const isRegistry = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const registry = !isRegistry || first === 'index.docker.io' ? 'docker.io' : first;
  const path = isRegistry ? name.slice(slash + 1) : name;
  return registry === 'docker.io' && !path.includes('/')
    ? `docker.io/library/${path}`
    : `${registry}/${path}`;
}

/** The registry that an image's name leads to, as `host` or `host:port`: docker.io where it names none. */
export function registryOf(reference: string): string {
  const [first = '', ...rest] = reference.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost' || /[A-Z]/.test(first));
  return isHost ? first : 'docker.io';
}

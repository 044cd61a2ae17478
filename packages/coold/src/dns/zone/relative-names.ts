import tlds from 'tlds' with { type: 'json' };

/**
 * Recognises names such as `web.default`: one label and a namespace, without the zone. Some resolvers ask for them as
 * typed before they append their search domains. No upstream knows them, so none is asked. A namespace with the name of
 * a public top-level domain is excluded, because `example.dev` is also a name of the internet.
 *
 * @returns whether a name, on the wire in lower case, is one of them
 */
export function createRelativeNames(namespaces: readonly string[]): (name: string) => boolean {
  const publicDomains = new Set<string>(tlds);
  const own = new Set(
    namespaces.map(namespace => namespace.toLowerCase()).filter(namespace => !publicDomains.has(namespace)),
  );
  return name => {
    const second = 1 + name.charCodeAt(0);
    const end = second + 1 + name.charCodeAt(second);
    return name.charCodeAt(end) === 0 && end === name.length - 1 && own.has(name.slice(second + 1, end));
  };
}

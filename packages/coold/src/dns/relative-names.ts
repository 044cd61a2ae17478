import tlds from 'tlds' with { type: 'json' };

/**
 * Tells names such as `web.default`: one label and a namespace, without the zone. Some resolvers ask for them as they are
 * before they complete them with their search domains. The upstream knows none of them, so it is never asked. A namespace that
 * is called like a public top-level domain is left out, because `example.dev` is a name of the internet as well.
 *
 * @returns whether a name, on the wire and in lower case, is one of them
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

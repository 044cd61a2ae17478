/** All ports are too many for a line: a range stays one where there would be more words than this. */
const maxPorts = 1000;

/** The words of an EXPOSE with each port of a range named, as Docker has them; buildah would take the range for one port. */
export function expandPorts(words: readonly string[]): readonly string[] {
  const expanded = words.flatMap(word => rangeIn(word)?.ports ?? [word]);
  return expanded.length > maxPorts ? words : expanded;
}

/** undefined: it is none, or has variables in it. */
function rangeIn(word: string): { ports: string[] } | undefined {
  const [, first, last, protocol = ''] = /^([0-9]{1,5})-([0-9]{1,5})(\/(?:tcp|udp|sctp))?$/i.exec(word) ?? [];
  const [begin, end] = [Number(first), Number(last)];
  if (first === undefined || begin > end || end > 65_535) return undefined;
  return { ports: Array.from({ length: end - begin + 1 }, (_, at) => `${begin + at}${protocol}`) };
}

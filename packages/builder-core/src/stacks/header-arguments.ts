export interface HeaderOptions {
  buildArgs: Readonly<Record<string, string>>;
  /** This machine's, as `linux/amd64`. */
  platform: string;
}

const reference = /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(:?-([^${}]*))?\})/g;

/**
 * What a FROM may refer to: the ARGs before the first FROM, with their defaults or as the request gives them, and the
 * platforms, which need no ARG. An ARG whose default is more than a plain word has no value here.
 */
export function readHeaderArguments(
  instructions: readonly string[],
  { buildArgs, platform }: HeaderOptions,
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const [os = '', architecture = '', variant = ''] = platform.split('/');
  for (const whose of ['BUILD', 'TARGET'])
    for (const [name, value] of Object.entries({ PLATFORM: platform, OS: os, ARCH: architecture }))
      values.set(`${whose}${name}`, value);
  values.set('TARGETVARIANT', variant).set('BUILDVARIANT', variant);
  for (const text of instructions) {
    const [, list = ''] = /^ARG[ \t]+(.*)$/is.exec(text) ?? [];
    for (const word of list.split(/[ \t]+/)) {
      const [, name = '', given] = /^([A-Za-z_]\w*)(?:=(.*))?$/s.exec(word) ?? [];
      if (name === '') continue;
      const value = Object.hasOwn(buildArgs, name)
        ? buildArgs[name]
        : given === undefined
          ? values.get(name)
          : substitute(unquote(given), values);
      if (value === undefined) values.delete(name);
      else values.set(name, value);
    }
  }
  return values;
}

/** Replaces `$NAME`, `${NAME}`, `${NAME-word}` and `${NAME:-word}`. undefined: one has no value, or it is in other notation. */
export function substitute(word: string, values: ReadonlyMap<string, string>): string | undefined {
  if (/["'\\`]|\$(?![A-Za-z_{])/.test(word) || word.replaceAll(reference, '').includes('$')) return undefined;
  let isKnown = true;
  const replace = (_: string, plain?: string, braced?: string, fallback?: string, otherwise = ''): string => {
    const value = values.get(plain ?? braced ?? '');
    if (value !== undefined && (value !== '' || fallback?.startsWith(':') !== true)) return value;
    if (fallback === undefined) isKnown = false;
    return otherwise;
  };
  const text = word.replaceAll(reference, replace);
  return isKnown ? text : undefined;
}

function unquote(text: string): string {
  return /^"([^"]*)"$/.exec(text)?.[1] ?? /^'([^'$]*)'$/.exec(text)?.[1] ?? text;
}

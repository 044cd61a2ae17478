import { substitute, unquote } from './substitute.ts';

export interface HeaderOptions {
  buildArgs: Readonly<Record<string, string>>;
  /** This machine's, as `linux/amd64`. */
  platform: string;
}

/**
 * What a FROM may refer to: the ARGs before the first FROM, with their defaults or as the request gives them, and the
 * platforms, which need no ARG. An ARG whose default is more than a plain word has no value here.
 */
export function readHeaderArguments(
  instructions: readonly { words: readonly string[] }[],
  { buildArgs, platform }: HeaderOptions,
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const [os = '', architecture = '', variant = ''] = platform.split('/');
  for (const whose of ['BUILD', 'TARGET'])
    for (const [name, value] of Object.entries({ PLATFORM: platform, OS: os, ARCH: architecture }))
      values.set(`${whose}${name}`, value);
  values.set('TARGETVARIANT', variant).set('BUILDVARIANT', variant);
  for (const { words } of instructions)
    for (const word of words) {
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
  return values;
}

const reference = /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(:?-([^${}]*))?\})/g;

/** A variable may be made of itself, over and over. */
const maxLength = 64 * 1024;

/** Replaces `$NAME`, `${NAME}`, `${NAME-word}` and `${NAME:-word}`. undefined: one has no value, or it is in other notation, or too long. */
export function substitute(word: string, values: ReadonlyMap<string, string>): string | undefined {
  if (/["'\\`]|\$(?![A-Za-z_{])/.test(word) || word.replaceAll(reference, '').includes('$')) return undefined;
  let isKnown = true;
  let length = word.length;
  const replace = (_: string, plain?: string, braced?: string, fallback?: string, otherwise = ''): string => {
    const value = values.get(plain ?? braced ?? '');
    length += value?.length ?? 0;
    if (length > maxLength) isKnown = false;
    if (!isKnown) return '';
    if (value !== undefined && (value !== '' || fallback?.startsWith(':') !== true)) return value;
    if (fallback === undefined) isKnown = false;
    return otherwise;
  };
  const text = word.replaceAll(reference, replace);
  return isKnown ? text : undefined;
}

/** Without the quotes around it, where it is quoted as a whole; one in single quotes that has a `$` stays as it is. */
export function unquote(text: string): string {
  return /^"([^"]*)"$/.exec(text)?.[1] ?? /^'([^'$]*)'$/.exec(text)?.[1] ?? text;
}

/**
 * A list of texts in JSON; what follows it is ignored, as buildah and BuildKit do. undefined: there is none, so the text is a
 * shell's.
 *
 * @throws Error for a list of anything but texts, which they refuse
 */
export function readJsonForm(text: string): string[] | undefined {
  const end = endOfArray(text);
  if (end === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text.slice(0, end));
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const words = value.filter(word => typeof word === 'string');
  if (words.length !== value.length) throw new Error('is a JSON list of anything but texts');
  // Go puts U+FFFD for half of a surrogate pair.
  return words.map(word => word.toWellFormed());
}

const token =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON knows none in a text
  /[ \t\r\n]*(?:([[{])|([\]}])|([,:])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null))/y;

/** Where an array ends that begins the text, its commas and colons not looked at. undefined: none begins or ends. */
function endOfArray(text: string): number | undefined {
  if (!text.startsWith('[')) return undefined;
  const scanner = new RegExp(token);
  for (let depth = 0; ; ) {
    const [, open, close] = scanner.exec(text) ?? [undefined];
    if (scanner.lastIndex === 0) return undefined;
    if (open !== undefined) depth += 1;
    if (close !== undefined) depth -= 1;
    if (depth === 0) return scanner.lastIndex;
  }
}

// buildah is written in Go, whose unicode.IsSpace and regular expressions do not agree with each other, nor with JavaScript's \s.

/** The characters that Go's unicode.IsSpace accepts. Unlike in JavaScript, U+0085 is a space and U+FEFF is not. */
const spaces = String.raw`\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`;
const space = `[${spaces}]`;

const leading = new RegExp(`^${space}+`);
const edge = new RegExp(`^${space}|${space}$`);
const one = new RegExp(`^${space}$`);

/** Removes the leading characters that Go takes for spaces. */
export function trimGoStart(text: string): string {
  return text.replace(leading, '');
}

/** Whether the text begins or ends with a character that Go takes for a space and would trim. */
export function hasGoSpaceAtEdge(text: string): boolean {
  return edge.test(text);
}

/** Returns an expression that finds the words beginning with `pattern`, where words are separated by Go's spaces. */
export function wordsThatBegin(pattern: string): RegExp {
  return new RegExp(`(?<![^${spaces}])${pattern}[^${spaces}]*`, 'g');
}

/** Whether Go takes one character for a space. */
export function isGoSpace(character: string): boolean {
  return one.test(character);
}

/** Removes spaces and tabs at both ends. Other kinds of space stay. */
export function trimBlanks(text: string): string {
  let end = text.length;
  while (end > 0 && isBlank(text[end - 1])) end -= 1;
  let begin = 0;
  while (begin < end && isBlank(text[begin])) begin += 1;
  return text.slice(begin, end);
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

// buildah is written in Go, whose unicode.IsSpace and regular expressions do not agree with each other, nor with JavaScript's \s.

/** What unicode.IsSpace knows as a space: U+0085 is one and U+FEFF is none, unlike in JavaScript. */
const spaces = String.raw`\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`;
const space = `[${spaces}]`;

const leading = new RegExp(`^${space}+`);
const edge = new RegExp(`^${space}|${space}$`);
const one = new RegExp(`^${space}$`);

export function trimGoStart(text: string): string {
  return text.replace(leading, '');
}

/** Whether Go would trim it. */
export function hasGoSpaceAtEdge(text: string): boolean {
  return edge.test(text);
}

/** Words that begin like this, between spaces as Go knows them. */
export function wordsThatBegin(pattern: string): RegExp {
  return new RegExp(`(?<![^${spaces}])${pattern}[^${spaces}]*`, 'g');
}

export function isGoSpace(character: string): boolean {
  return one.test(character);
}

/** Without the spaces and tabs around it; other spaces stay. */
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

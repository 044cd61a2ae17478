import { readFile } from 'node:fs/promises';

/** What systemd takes for a name; it leaves out assignments of others. */
const name = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * The assignments of a file that a unit names as EnvironmentFile=, read as systemd reads it (systemd.exec(5), from version
 * 254 on): comments, quotes, escapes and lines that go on in the next one. A later assignment wins. Pure.
 */
export function parseEnvironmentFile(text: string): Record<string, string> {
  const assignments = new Map<string, string>();
  const reader = createReader(text.replaceAll('\r', '\n'));
  for (let next = reader.assignment(); next !== undefined; next = reader.assignment())
    if (name.test(next.key)) assignments.set(next.key, next.value);
  return Object.fromEntries(assignments);
}

/** The assignments of an environment file; none where it cannot be read, as with a leading dash in the unit. */
export async function readEnvironmentFile(path: string): Promise<Record<string, string>> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return parseEnvironmentFile(text);
}

interface Assignment {
  key: string;
  value: string;
}

function createReader(text: string): { assignment(): Assignment | undefined } {
  let at = 0;
  const peek = () => text[at];
  const isBlank = (char: string | undefined) => char === ' ' || char === '\t' || char === '\n';

  function skipLine(): void {
    while (at < text.length && peek() !== '\n') at += 1;
  }

  /** Up to the `=`; undefined for a line that has none. */
  function key(): string | undefined {
    const start = at;
    while (at < text.length && peek() !== '\n') {
      if (peek() === '=') {
        at += 1;
        return text.slice(start, at - 1).trimEnd();
      }
      at += 1;
    }
    return undefined;
  }

  /** What a backslash outside of quotes stands before: itself, or nothing where the line goes on. */
  function escaped(): string {
    at += 1;
    const char = peek() ?? '';
    at += 1;
    return char === '\n' ? '' : char;
  }

  function singleQuoted(): string {
    const start = at + 1;
    const end = text.indexOf("'", start);
    at = end === -1 ? text.length : end + 1;
    return text.slice(start, end === -1 ? undefined : end);
  }

  function doubleQuoted(): string {
    let value = '';
    at += 1;
    while (at < text.length && peek() !== '"') {
      if (peek() !== '\\') {
        value += peek();
        at += 1;
        continue;
      }
      const after = text[at + 1] ?? '';
      at += 2;
      if (after === '\n') continue;
      value += '"\\`$'.includes(after) ? after : `\\${after}`;
    }
    at += 1;
    return value;
  }

  /** Text without quotes, to the end of its line; blanks at the end that nothing escapes do not count. */
  function bare(): string {
    let value = '';
    let kept = 0;
    while (at < text.length && peek() !== '\n') {
      if (peek() === '\\') {
        value += escaped();
        kept = value.length;
        continue;
      }
      value += peek();
      if (!isBlank(peek())) kept = value.length;
      at += 1;
    }
    return value.slice(0, kept);
  }

  function value(): string {
    let whole = '';
    while (at < text.length && peek() !== '\n') {
      if (peek() === "'") whole += singleQuoted();
      else if (peek() === '"') whole += doubleQuoted();
      else if (isBlank(peek())) at += 1;
      else return whole + bare();
    }
    return whole;
  }

  return {
    assignment() {
      while (at < text.length) {
        if (isBlank(peek())) {
          at += 1;
          continue;
        }
        if (peek() === '#' || peek() === ';') {
          skipLine();
          continue;
        }
        const found = key();
        if (found !== undefined) return { key: found, value: value() };
      }
      return undefined;
    },
  };
}

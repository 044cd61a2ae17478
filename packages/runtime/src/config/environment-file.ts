import { readRegularFile } from '../regular-file.ts';

/** The names that systemd accepts. It ignores other assignments. */
const name = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Parses the file of EnvironmentFile= as systemd does from version 254 on (systemd.exec(5)): with comments, quotes, escapes and
 * continued lines. A later assignment replaces an earlier one. Pure.
 */
export function parseEnvironmentFile(text: string): Record<string, string> {
  const assignments = new Map<string, string>();
  const reader = new AssignmentReader(text.replaceAll('\r', '\n'));
  for (let next = reader.assignment(); next !== undefined; next = reader.assignment())
    if (name.test(next.key)) assignments.set(next.key, next.value);
  return Object.fromEntries(assignments);
}

/** Reads an environment file. Returns no assignments when the file cannot be read, like a unit with a leading dash. Never rejects. */
export async function readEnvironmentFile(path: string): Promise<Record<string, string>> {
  const text = await readRegularFile(path).catch(() => '');
  return parseEnvironmentFile(text);
}

interface Assignment {
  key: string;
  value: string;
}

/** Reads assignments from the text of a file, one after the other. */
class AssignmentReader {
  readonly #text: string;
  #at = 0;

  /** @param text with `\n` as its only line break */
  constructor(text: string) {
    this.#text = text;
  }

  /** Returns the next assignment. undefined: there is none. */
  assignment(): Assignment | undefined {
    while (!this.#isAtEnd()) {
      const char = this.#peek();
      if (isBlank(char) || char === '\n') this.#at += 1;
      else if (char === '#' || char === ';') this.#skipLine();
      else {
        const key = this.#key();
        if (key !== undefined) return { key, value: this.#value() };
      }
    }
    return undefined;
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  #isInLine(): boolean {
    return !this.#isAtEnd() && this.#peek() !== '\n';
  }

  #skipLine(): void {
    while (this.#isInLine()) this.#at += 1;
  }

  /** Reads the name before `=`. Returns undefined for a line without `=`. */
  #key(): string | undefined {
    const start = this.#at;
    while (this.#isInLine()) {
      this.#at += 1;
      if (this.#text[this.#at - 1] === '=') return this.#text.slice(start, this.#at - 1).trimEnd();
    }
    return undefined;
  }

  #value(): string {
    let whole = '';
    while (this.#isInLine()) {
      const char = this.#peek();
      if (char === "'") whole += this.#singleQuoted();
      else if (char === '"') whole += this.#doubleQuoted();
      else if (isBlank(char)) this.#at += 1;
      else return whole + this.#bare();
    }
    return whole;
  }

  #singleQuoted(): string {
    const start = this.#at + 1;
    const end = this.#text.indexOf("'", start);
    this.#at = end === -1 ? this.#text.length : end + 1;
    return this.#text.slice(start, end === -1 ? undefined : end);
  }

  #doubleQuoted(): string {
    let value = '';
    this.#at += 1;
    while (!this.#isAtEnd() && this.#peek() !== '"') {
      if (this.#peek() !== '\\') {
        value += this.#peek();
        this.#at += 1;
        continue;
      }
      const after = this.#text[this.#at + 1] ?? '';
      this.#at += 2;
      if (after === '\n') continue;
      value += '"\\`$'.includes(after) ? after : `\\${after}`;
    }
    this.#at += 1;
    return value;
  }

  /** Reads unquoted text to the end of the line, without unescaped blanks at its end. */
  #bare(): string {
    let value = '';
    let kept = 0;
    while (this.#isInLine()) {
      const char = this.#peek();
      if (char === '\\') {
        value += this.#escaped();
        kept = value.length;
        continue;
      }
      value += char;
      if (!isBlank(char)) kept = value.length;
      this.#at += 1;
    }
    return value.slice(0, kept);
  }

  /** Reads an escaped character outside quotes. An escaped line break continues the line and is dropped. */
  #escaped(): string {
    const char = this.#text[this.#at + 1] ?? '';
    this.#at += 2;
    return char === '\n' ? '' : char;
  }
}

function isBlank(char: string | undefined): boolean {
  return char === ' ' || char === '\t';
}

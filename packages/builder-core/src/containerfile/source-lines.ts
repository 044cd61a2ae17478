import { trimGoStart } from './go-space.ts';
import type { Escape } from './instruction.ts';
import { inRepository, type LinePrefix, refusal } from './refusal.ts';

/** A line together with the lines that continue it. */
export interface JoinedLine {
  text: string;
  /** The first of the joined lines, counted from 1. */
  line: number;
}

/** Reads a file line by line, from the first line on. */
export interface SourceLines {
  escapeCharacter: Escape;
  /** Returns the next line that is neither empty nor a comment, undefined at the end. @throws BuildFailure 422 */
  next(): JoinedLine | undefined;
  /** Returns the next line unchanged, without its line break, undefined at the end. For here-documents. */
  nextRaw(): string | undefined;
}

/**
 * Decodes the bytes of a file.
 *
 * @throws BuildFailure 422 naming the first line that is not UTF-8
 */
export function decodeSource(bytes: Uint8Array): string {
  try {
    return utf8().decode(bytes);
  } catch {
    throw refusal(inRepository(firstBadLine(bytes)), 'is not UTF-8');
  }
}

function utf8(): TextDecoder {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
}

function firstBadLine(bytes: Uint8Array): number {
  let line = 1;
  for (let begin = 0; ; line += 1) {
    const end = bytes.indexOf(0x0a, begin);
    try {
      utf8().decode(bytes.subarray(begin, end < 0 ? bytes.length : end));
    } catch {
      return line;
    }
    if (end < 0) return line;
    begin = end + 1;
  }
}

/**
 * Joins continued lines as every parser of Containerfiles does, and refuses lines that parsers join differently. A comment
 * is never continued. A comment or an empty line between continued lines does not end them.
 *
 * @throws BuildFailure 422
 */
export function readLines(text: string, where: LinePrefix): SourceLines {
  // Go's scanner removes one CR from the end of a line. Further CRs are part of the instruction.
  const lines = text
    .replace(/^\ufeff/, '')
    .split('\n')
    .map(line => line.replace(/\r$/, ''));
  const escapeCharacter = readEscape(lines, where);
  const continued = escapeCharacter === '\\' ? /\\[ \t]*$/ : /`[ \t]*$/;
  let at = 0;

  /** Removes the escape character that continues a line. */
  const cut = (line: string): { text: string; continues: boolean } => {
    if (!continued.test(line)) return { text: line, continues: false };
    const rest = line.replace(continued, '');
    // An escaped escape character continues the line in buildah, but not in BuildKit.
    if (rest.endsWith(escapeCharacter))
      throw refusal(
        where(at),
        `ends in two of ${escapeCharacter}, which continue a line or not depending on the parser`,
      );
    return { text: rest, continues: true };
  };

  const next = (): JoinedLine | undefined => {
    while (at < lines.length) {
      const begun = withoutComment(trimGoStart(lines[at] ?? ''));
      at += 1;
      if (begun === '') continue;
      const line = at;
      const parts: string[] = [];
      let { text: part, continues } = cut(begun);
      parts.push(part);
      while (continues && at < lines.length) {
        const raw = lines[at] ?? '';
        at += 1;
        if (withoutComment(trimGoStart(raw)) === '') continue;
        ({ text: part, continues } = cut(raw));
        parts.push(part);
      }
      return { text: parts.join(''), line };
    }
    return undefined;
  };

  return {
    escapeCharacter,
    next,
    nextRaw() {
      const line = lines[at];
      at += 1;
      return line;
    },
  };
}

function withoutComment(line: string): string {
  return line.startsWith('#') ? '' : line;
}

/**
 * Reads the directive `escape`. buildah looks for it on the first line only; BuildKit looks on every line before the first
 * instruction; and their notations differ. So it must be on the first line, in the notation that both accept.
 */
function readEscape(lines: readonly string[], where: LinePrefix): Escape {
  for (const [at, line] of lines.entries()) {
    const comment = trimGoStart(line);
    if (!comment.startsWith('#')) break;
    if (!/^#\s*escape\s*=/i.test(comment)) continue;
    const [, character] = /^#[ \t]*escape[ \t]*=[ \t]*([\\`])[ \t]*$/i.exec(comment) ?? [];
    if (at > 0 || (character !== '\\' && character !== '`'))
      throw refusal(where(at + 1), 'escape: write it on the first line, as # escape=` or # escape=\\');
    if (/^#\s*escape\s*=/i.test(trimGoStart(lines[1] ?? '')))
      throw refusal(where(2), 'escape: is given twice');
    return character;
  }
  return '\\';
}

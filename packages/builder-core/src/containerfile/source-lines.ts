import { trimGoStart } from './go-space.ts';
import type { Escape } from './instruction.ts';
import { inRepository, refusal, type Whereabouts } from './refusal.ts';

/** What stands on one line once the lines that continue it are joined. */
export interface JoinedLine {
  text: string;
  /** The first, counted from 1. */
  line: number;
}

/** Reads a file from its first line on. */
export interface SourceLines {
  escapeCharacter: Escape;
  /** The next one that is neither empty nor a comment. @throws BuildFailure 422 */
  next(): JoinedLine | undefined;
  /** The next line as it stands, without its line break; for here-documents. */
  nextRaw(): string | undefined;
}

/**
 * The text of a file.
 *
 * @throws BuildFailure 422 naming the line that is no UTF-8
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
 * Lines as every parser of Containerfiles joins them; what they join differently is refused. A comment never continues, and
 * neither a comment nor an empty line ends what is continued around it.
 *
 * @throws BuildFailure 422
 */
export function readLines(text: string, where: Whereabouts): SourceLines {
  // Go's scanner takes one CR off a line; what is left of more is looked at as part of an instruction.
  const lines = text
    .replace(/^\ufeff/, '')
    .split('\n')
    .map(line => line.replace(/\r$/, ''));
  const escapeCharacter = readEscape(lines, where);
  const continued = escapeCharacter === '\\' ? /\\[ \t]*$/ : /`[ \t]*$/;
  let at = 0;

  /** Without what continues it. */
  const cut = (line: string): { text: string; continues: boolean } => {
    if (!continued.test(line)) return { text: line, continues: false };
    const rest = line.replace(continued, '');
    // To BuildKit an escape character that is escaped continues nothing, to buildah it does.
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
 * buildah looks for the directive on the first line alone, BuildKit on all that directives and comments begin; and each in
 * a notation of its own.
 */
function readEscape(lines: readonly string[], where: Whereabouts): Escape {
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

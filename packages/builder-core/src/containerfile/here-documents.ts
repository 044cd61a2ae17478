import { wordsThatBegin } from './go-space.ts';
import type { HereDocument } from './instruction.ts';
import type { SourceLines } from './source-lines.ts';

/** Whether a parser may see a here-document begin in this text. Only buildah from Debian 13 on supports here-documents. */
export function mayBeginDocument(text: string): boolean {
  return text.includes('<<');
}

interface Begun {
  name: string;
  stripTabs: boolean;
}

/**
 * Reads the here-documents that a RUN command begins, in order, from the lines below the command.
 *
 * @throws Error where parsers and shells would read the text differently
 */
export function readDocuments(text: string, lines: SourceLines): HereDocument[] {
  return findBegun(text).map(begun => ({ ...begun, content: readContent(begun, lines) }));
}

/** Finds the words that begin a here-document. Each must be a word of its own, outside quotes. */
function findBegun(text: string): Begun[] {
  const candidates = [...text.matchAll(wordsThatBegin('[0-9]*<<'))].filter(
    ([word]) => !/^[0-9]*<<(?:<|$)/.test(word),
  );
  if (candidates.length === 0) return [];
  if (text.replaceAll(/\$\{[A-Za-z_][A-Za-z0-9_]*\}/g, '').includes('${'))
    throw new Error('a here-document is not understood where braces after $ hold more than a name');
  const begun: Begun[] = [];
  const quoteAt = createQuoteFinder(text);
  for (const { 0: word, index } of candidates) {
    if (quoteAt(index) !== '') continue;
    const [, dash = '', , name = ''] = /^<<(-?)(["']?)([A-Za-z_][A-Za-z0-9_]*)\2$/.exec(word) ?? [];
    if (name === '') throw new Error(`here-document ${JSON.stringify(word)}: expected <<NAME or <<-NAME`);
    begun.push({ name, stripTabs: dash !== '' });
  }
  if (quoteAt(text.length) !== '') throw new Error('a here-document beside a quote that is open at the end');
  return begun;
}

/** Returns a function that tells which quote is open at an index, or an empty text. Ask for indexes in ascending order. */
function createQuoteFinder(text: string): (index: number) => string {
  let quote = '';
  let at = 0;
  return index => {
    for (; at < index; at += 1) {
      const character = text[at] ?? '';
      if (character === '\\' && quote !== "'") at += 1;
      else if (quote === '' && (character === '"' || character === "'")) quote = character;
      else if (character === quote) quote = '';
    }
    return quote;
  };
}

function readContent({ name, stripTabs }: Begun, lines: SourceLines): string {
  let content = '';
  for (;;) {
    const line = lines.nextRaw();
    if (line === undefined) throw new Error(`here-document ${name} does not end`);
    if ((stripTabs ? line.replace(/^\t+/, '') : line) === name) return content;
    content += `${line}\n`;
  }
}

/**
 * Turns a command with here-documents into the arguments of a program, which every buildah reads in the same way. The buildah
 * of Debian 12 would read the lines of a here-document as instructions.
 *
 * @param shell the shell that runs the command, with its options
 * @throws Error for a script whose interpreter cannot take the script as an argument
 */
export function embedDocuments(
  text: string,
  documents: readonly HereDocument[],
  shell: readonly string[],
): string[] {
  const [first] = documents;
  if (first === undefined || !/^<<-?(["']?)[A-Za-z_][A-Za-z0-9_]*\1$/.test(text))
    return [...shell, [text, ...documents.map(({ name, content }) => `${content}${name}`)].join('\n')];
  const script = first.stripTabs ? first.content.replaceAll(/^\t+/gm, '') : first.content;
  return script.startsWith('#!') ? [...interpreterOf(script), script] : [...shell, script];
}

/** The option after which each of these programs takes a script as one argument. */
const scriptOptions: Record<string, string> = {
  sh: '-c',
  ash: '-c',
  bash: '-c',
  dash: '-c',
  ksh: '-c',
  zsh: '-c',
  python: '-c',
  python3: '-c',
  perl: '-e',
  ruby: '-e',
  node: '-e',
};

/** Returns the program and options of a `#!` line. The kernel passes everything after the program as one argument. */
function interpreterOf(script: string): string[] {
  const [, line = ''] = /^#![ \t]*(.*)/.exec(script) ?? [];
  const [program = '', ...rest] = line.trim().split(/[ \t]+/);
  const called = /(?:^|\/)env$/.test(program) ? rest[0] : program;
  const name = called?.split('/').at(-1) ?? '';
  const option = Object.hasOwn(scriptOptions, name) ? scriptOptions[name] : undefined;
  if (option === undefined || !program.startsWith('/') || rest.length > 1)
    throw new Error(
      `here-document: a script for ${JSON.stringify(line)} is not possible: write the script to a file`,
    );
  return [program, ...rest, option];
}

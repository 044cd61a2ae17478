// Containerfiles put together of what parsers trip over; for tests.

const names = [
  ...['FROM', 'RUN', 'RUN', 'COPY', 'ADD', 'ENV', 'LABEL', 'ARG', 'EXPOSE', 'VOLUME', 'CMD', 'ENTRYPOINT'],
  ...[
    'SHELL',
    'HEALTHCHECK',
    'USER',
    'WORKDIR',
    'STOPSIGNAL',
    'MAINTAINER',
    'ONBUILD RUN',
    'ONBUILD COPY',
    'run',
    'Copy',
  ],
];
const oddNames = [
  ...[
    'RU\\\nN',
    'ONBU\u0130LD RUN',
    '\u3000RUN',
    'WOR\u212aDIR',
    'EOF',
    '',
    'ONBUILD ONBUILD RUN',
    'ONBUILD FROM',
    '\ufeffRUN',
  ],
  ...['RUN\u00a0', 'ONBUILD\u0085RUN', 'onbuild\tLABEL', '\\\nRUN', '[', '--', '<<EOF', 'ONBUILD ENV'],
];
const words = [
  ...[
    'a',
    'b',
    'echo',
    '/x',
    'a=b',
    'a="b c"',
    "a='b c'",
    '$X',
    '$' + '{X:-y}',
    '1',
    '8080/tcp',
    'AS',
    'CMD',
    'NONE',
    '&&',
  ],
  ...[
    '["a", "b"]',
    '["a"]',
    '[]',
    '日本語',
    'é',
    '\u{1f600}',
    'a\\ b',
    '"a b"',
    "'a'",
    '#',
    '-x',
    '.',
    '`date`',
    'x#y',
  ],
];
const flags = [
  ...[
    '--from=a',
    '--from=0',
    '--chown=a:b',
    '--chown="a:b"',
    "--chmod='755'",
    '--link',
    '--link=false',
    '--platform=linux/amd64',
  ],
  ...[
    '--mount=type=cache,target=/c',
    '--mount=type=tmpfs,target=/t',
    '--interval=3s',
    '--retries=2',
    '--mount=type=bind,target=/b',
  ],
  ...[
    '--',
    '---',
    '--a',
    '--from',
    '--from=',
    '--chown=$A',
    '--chown=a\\b',
    '--chown=a"b"',
    '--chown="a',
    '--chown=é',
    '--X=y',
  ],
];
const oddWords = [
  ...[
    '"',
    "'",
    '\\',
    '`',
    '[',
    ']',
    '["a"] b',
    '[1]',
    '["a", 1]',
    '[["a"]]',
    '["a",]',
    '["\\ud800"]',
    '{}',
    '\\"',
    '\\\\',
    '\\\u3000',
  ],
  ...[
    '\u00a0',
    '\u0085',
    '\u3000',
    '\u2028',
    '\ufeff',
    '\0',
    '\v',
    '\f',
    '\r',
    '\u200b',
    '"\u3000"',
    'a\u2003b',
    '\u00a0a',
    '$',
    '$' + '{',
  ],
  ...[
    '<<EOF',
    '<<-EOF',
    '<<"EOF"',
    "<<'EOF'",
    '<<',
    '<<<',
    '3<<EOF',
    'a<<EOF',
    '<<EOF;',
    '"<<EOF"',
    '<<B',
    '=',
    'a=',
    '=b',
    '"a"=b',
  ],
  ...['a=b"c d"e', 'a=\\"', "a='\\'", '\u0130', '\u{1f600}=b', '--from=a'],
];
const separators = [
  ' ',
  ' ',
  ' ',
  ' ',
  '  ',
  '\t',
  ' \\\n',
  '\\\n  ',
  ' \\\r\n\t',
  ' \\\n# c\n',
  ' \\\n\n # c\n ',
];
const oddSeparators = [
  ...[
    '\u00a0',
    '\u0085',
    '\u3000',
    '\u2003',
    '\u2028',
    '\ufeff',
    '\v',
    '\f',
    '\r',
    '',
    '\\',
    '\\\\\n',
    '`\n',
    ' `\n',
    '\\ \n',
    '\\\t\n',
  ],
  ...['\\\u00a0\n', '\\\n#', '\\\r\r\n', '\\\n\\\n', '\n', '\\\n\u3000\n', '\\\n\u3000#\n', '\\\n#x\\\n'],
];
const ends = [
  '\n',
  '\n',
  '\n',
  '\n',
  '\r\n',
  ' \n',
  '\n\n',
  '\n# c\n',
  '\n  # c \\\n',
  '\nEOF\n',
  '\nx\nEOF\n',
  '\n\ty\n\tEOF\nB\n',
];
const oddEnds = [
  '',
  '\\\n',
  '\\\\\n',
  '`\n',
  '\r\r\n',
  '\u0085\n',
  '\u00a0\n',
  '\\\u00a0\n',
  '\r',
  '\v\n',
  '\n\u3000',
  '\\',
  ' \\',
  '\n#escape=`\n',
];
const heads = ['', '', '', '', 'FROM a\n', 'FROM a\n', 'FROM a AS b\n', '# c\n', '\n'];
const oddHeads = [
  ...[
    '\ufeff',
    '\ufeff\ufeff',
    '# escape=`\n',
    '#escape = \\\n',
    ' # escape=`\n',
    '# Escape=`\r\n',
    '# syntax=x\n# escape=`\n',
  ],
  ...[
    '# escape=x\n',
    '\n# escape=`\n',
    '# escape=` x\n',
    '\u00a0# escape=`\n',
    '# escape=`\n# escape=\\\n',
    '#\u00a0escape=`\n',
    '# check=a\n',
  ],
];

/** The next file at each call; the same ones for the same seed. */
export function createGenerator(seed: number): () => string {
  let state = seed >>> 0;
  // Mulberry32.
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const of = (list: readonly string[]) => list[Math.floor(random() * list.length)] ?? '';
  return () => {
    // Some files are nearly harmless, so that what is odd in them is what decides.
    const oddness = random() < 0.5 ? 0.02 : 0.15;
    const one = (usual: readonly string[], odd: readonly string[]) => of(random() < oddness ? odd : usual);
    let text = one(heads, oddHeads);
    for (let instructions = 1 + Math.floor(random() * 4); instructions > 0; instructions -= 1) {
      text += one(names, oddNames);
      for (let flag = random(); flag < 0.2; flag += 0.15) text += one(separators, oddSeparators) + of(flags);
      for (let more = 1 + Math.floor(random() * 4); more > 0; more -= 1)
        text += one(separators, oddSeparators) + one(words, oddWords);
      text += one(ends, oddEnds);
    }
    return text;
  };
}

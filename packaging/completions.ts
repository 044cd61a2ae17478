import { type Described, optionRows } from '@coold/runtime';
import type { ProgramTable } from './command-table.ts';

/** The words that a shell may offer: after which words of the line, and which. */
interface Offer {
  /** Such as `firewall teardown`; empty right after the program's name. */
  after: string;
  words: readonly { word: string; help: string }[];
}

const always = [
  { word: '--help', help: 'Prints the options' },
  { word: '--version', help: 'Prints the version' },
];

/** What can follow in each place, for one program. Pure. */
function offers({ name, daemon, commands }: ProgramTable): Offer[] {
  const words = commands.map(command => command.name.slice(name.length + 1));
  const flags = (command: Described | undefined) => [
    ...(command === undefined ? [] : optionRows(command).map(({ flag, help }) => ({ word: flag, help }))),
    ...always,
  ];
  const firsts = [
    ...new Map(commands.map((command, at) => [words[at]?.split(' ')[0] ?? '', command.summary])),
  ];
  const groups = words.filter(it => it.includes(' '));
  return [
    { after: '', words: [...firsts.map(([word, help]) => ({ word, help })), ...flags(daemon)] },
    ...groups.map(group => {
      const [first = '', second = ''] = group.split(' ');
      return { after: first, words: [{ word: second, help: '' }] };
    }),
    ...commands.map((command, at) => ({ after: words[at] ?? '', words: flags(command) })),
  ];
}

/** The completion of a program for bash: /usr/share/bash-completion/completions/<name>. */
export function bashCompletion(program: ProgramTable): string {
  const { name } = program;
  const cases = offers(program).map(
    ({ after, words }) => `    '${after}') words='${words.map(({ word }) => word).join(' ')}' ;;`,
  );
  return `# bash completion of ${name}, made from its command table
_${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} given='' words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do
    [[ $word == -* ]] && break
    given+=\${given:+ }$word
  done
  case $given in
${cases.join('\n')}
  esac
  # What follows a flag is its value: mostly a file.
  if [[ $previous == --* && $current != -* ]]; then words=''; fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _${name} ${name}
`;
}

/** The completion of a program for zsh: /usr/share/zsh/vendor-completions/_<name>. */
export function zshCompletion(program: ProgramTable): string {
  const { name } = program;
  const cases = offers(program).map(({ after, words }) => {
    const described = words.map(
      ({ word, help }) => `      ${quoted(`${word.replaceAll(':', '\\:')}:${help}`)}`,
    );
    return `    '${after}') offers=(\n${described.join('\n')}\n    ) ;;`;
  });
  return `#compdef ${name}
# zsh completion of ${name}, made from its command table
local -a offers given
local word
for word in "\${(@)words[2,CURRENT-1]}"; do
  [[ $word == -* ]] && break
  given+=$word
done
case "\${given[*]}" in
${cases.join('\n')}
esac
if [[ $words[CURRENT-1] == --* && $words[CURRENT] != -* ]]; then
  _files
else
  _describe ${name} offers
fi
`;
}

/** The completion of a program for fish: /usr/share/fish/vendor_completions.d/<name>.fish. */
export function fishCompletion(program: ProgramTable): string {
  const { name } = program;
  const lines = offers(program).flatMap(({ after, words }) =>
    words.map(({ word, help }) => {
      const offered = word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${word}`;
      return `complete -c ${name} -n '__${name}_after "${after}"' ${offered}${help === '' ? '' : ` -d ${fishQuoted(help)}`}`;
    }),
  );
  return `# fish completion of ${name}, made from its command table
function __${name}_after
    set -l given
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; and break
        set -a given $word
    end
    test "$given" = "$argv[1]"
end
${lines.join('\n')}
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

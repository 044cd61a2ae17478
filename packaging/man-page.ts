import { type Described, optionRows } from '@coold/runtime';
import type { ProgramTable } from './command-table.ts';

/** What a man page says of the release. */
export interface PageOf {
  version: string;
  /** In seconds since 1970. */
  epoch: string;
}

/** The man page of a program in section 8, for `man` (groff's man macros), made from its tables. Pure. */
export function manPage(program: ProgramTable, { version, epoch }: PageOf): string {
  const { name, summary, operands, daemon, commands, files } = program;
  const date = new Date(Number(epoch) * 1000).toISOString().slice(0, 10);
  const lines = [
    `.TH ${name.toUpperCase()} 8 ${date} "coold ${version}" "Coolify"`,
    ...['.SH NAME', `${plain(name)} \\- ${plain(summary)}`],
    '.SH SYNOPSIS',
    ...synopses(program),
    ...(daemon === undefined
      ? ['.SH DESCRIPTION', plain(`${name} ${summary}.`)]
      : ['.SH DESCRIPTION', plain(`${name} ${daemon.summary}.`)]),
    ...(operands === undefined ? [] : ['.PP', plain(`It takes ${operands} and is started by coold.`)]),
    '.SH OPTIONS',
    ...(daemon === undefined ? [] : options(daemon)),
    ...item('--help', 'Prints the options.'),
    ...item('--version', 'Prints the version, the commit and the schemas of the stream, in one line.'),
    ...(commands.length === 0 ? [] : ['.SH COMMANDS', ...commands.flatMap(section)]),
    ...(files.length === 0 ? [] : ['.SH FILES', ...files.flatMap(([path, what]) => item(path, `${what}.`))]),
    '.SH EXIT STATUS',
    plain('0: done. 1: it failed, and said why in one line. 2: an option or a variable has a bad value.'),
    '.SH SEE ALSO',
    plain(`The pages of /usr/share/doc/${name === 'broker' ? 'coold-broker' : 'coold'}.`),
  ];
  return `${lines.join('\n')}\n`;
}

function synopses({ name, operands, commands }: ProgramTable): string[] {
  const first = operands === undefined ? '[OPTION...]' : operands;
  return [
    `.B ${plain(name)}\n${plain(first)}`,
    ...commands.map(command => `.br\n.B ${plain(command.name)}\n[OPTION...]`),
  ];
}

function section(command: Described): string[] {
  return [`.SS ${plain(command.name)}`, plain(`${command.summary}.`), ...options(command)];
}

function options(command: Described): string[] {
  return optionRows(command).flatMap(({ flag, env, default: value, help }) => {
    const otherwise = value === 'required' || value === 'unset' ? value : `default ${value}`;
    return item(flag, `${help} (${env === undefined ? '' : `${env}, `}${otherwise}).`);
  });
}

function item(term: string, text: string): string[] {
  return ['.TP', `.B ${plain(term)}`, plain(text)];
}

/** Text as groff prints it: hyphens that can be copied, and no line that is taken for a macro. */
function plain(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replaceAll('`', '\\(ga')
    .replaceAll(
      /[^\0-\x7f]/g,
      letter => `\\[u${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`,
    );
  return /^['.]/.test(escaped) ? `\\&${escaped}` : escaped;
}

// Reads the commands that pages show. Pure.
import { fencesOf } from './markdown.ts';

/**
 * Returns the commands of a page's sh blocks in order, without comments. A command that continues over several lines is
 * one.
 */
export function commandsOf(page: string): string[] {
  return fencesOf(page)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => splitCommands(text));
}

function splitCommands(text: string): string[] {
  const commands: string[] = [];
  let open = '';
  for (const line of text.split('\n')) {
    if (open === '' && (line === '' || line.startsWith('#'))) continue;
    open += open === '' ? line : `\n${line}`;
    const hasOpenQuote = open.split("'").length % 2 === 0;
    if (hasOpenQuote || open.endsWith('\\')) continue;
    commands.push(open.replace(/ +# .*$/, ''));
    open = '';
  }
  return commands;
}

/** Returns the program that a command starts. */
export function programOf(command: string): string {
  return command.replace(/^sudo /, '').split(' ', 1)[0] ?? '';
}

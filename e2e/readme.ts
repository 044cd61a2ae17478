import { brokerCommand } from '@coold/broker/config';
import { statusCommand } from '@coold/broker/status-command';
import { keygenCommand, tokenCommand } from '@coold/broker/token';
import { cooldCommand } from '@coold/coold/config';
import { scaffoldCommand } from '@coold/coold/scaffold-command';
import { statusCommand as cooldStatusCommand } from '@coold/coold/status-command';
import { readVerbs } from '@coold/proto';
import { type Described, optionRows } from '@coold/runtime';

/** The parts of the README that are derived, by the name in their markers. */
const sections: Record<string, () => string> = {
  'broker variables': () => optionTable(brokerCommand),
  'coold variables': () => optionTable(cooldCommand),
  'coold scaffold variables': () => optionTable(scaffoldCommand),
  'broker keygen flags': () => optionTable(keygenCommand),
  'broker token flags': () => optionTable(tokenCommand),
  'broker status flags': () => optionTable(statusCommand),
  'coold status flags': () => optionTable(cooldStatusCommand),
  verbs: verbTable,
};

const begin = (name: string) => `<!-- generated: ${name} -->`;
const end = '<!-- end -->';

/**
 * Puts what the tables and descriptors say now between the README's markers.
 *
 * @throws Error naming a section that has no markers, or markers that name no section
 */
export function renderReadme(readme: string): string {
  const missing = Object.keys(sections).find(name => !readme.includes(begin(name)));
  if (missing !== undefined) throw new Error(`README has no section "${missing}"`);
  return readme.replaceAll(/<!-- generated: (.+?) -->\n[\s\S]*?<!-- end -->/g, (_, name: string) => {
    const section = Object.hasOwn(sections, name) ? sections[name] : undefined;
    if (section === undefined) throw new Error(`README names a section "${name}" that nothing generates`);
    return `${begin(name)}\n${section()}\n${end}`;
  });
}

function optionTable(command: Described): string {
  const rows = optionRows(command).map(({ env, flag, default: value, help }) => {
    const names = env === undefined ? `\`${flag}\`` : `\`${env}\` · \`${flag}\``;
    return [names, value === 'required' || value === 'unset' ? value : `\`${value}\``, help];
  });
  return table(
    [command.envPrefix === undefined ? 'flag' : 'variable · flag', 'default', 'what it is for'],
    rows,
  );
}

function verbTable(): string {
  const rows = [...readVerbs().values()].map(({ name, http, schema, summary, streams }) => [
    `\`${name}\``,
    http === undefined
      ? 'stream only'
      : `\`${http.method} ${http.path}\` → ${http.status}${streams ? ', NDJSON as it comes' : ''}`,
    String(schema),
    summary,
  ]);
  return table(['verb', 'REST', 'schema', 'what it does'], rows);
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

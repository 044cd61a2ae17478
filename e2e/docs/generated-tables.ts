import { brokerCommand } from '@coold/broker/config';
import { doctorCommand } from '@coold/broker/doctor-command';
import { statusCommand } from '@coold/broker/status-command';
import { keygenCommand, tokenCommand } from '@coold/broker/token-commands';
import { cooldCommand } from '@coold/coold/config';
import { doctorCommand as cooldDoctorCommand } from '@coold/coold/doctor-command';
import { scaffoldCommand } from '@coold/coold/scaffold-command';
import { statusCommand as cooldStatusCommand } from '@coold/coold/status-command';
import { supportCommand } from '@coold/coold/support-command';
import { teardownCommand } from '@coold/coold/teardown-command';
import { whyCommand } from '@coold/coold/why-command';
import { reasons } from '@coold/errors';
import { readVerbs } from '@coold/proto';
import { type Described, optionRows } from '@coold/runtime';
import { scaleTable } from '../bench/scale-model.ts';
import { faultColumns, faultRows } from '../faults/page.ts';
import { faults } from '../faults/table.ts';
import { readCodeMap } from './code-map.ts';

/** What is derived in the pages, by the name in its markers; each stands in exactly one page. */
const sections: Record<string, () => string> = {
  'broker variables': () => optionTable(brokerCommand),
  'coold variables': () => optionTable(cooldCommand),
  'coold scaffold variables': () => optionTable(scaffoldCommand),
  'coold firewall teardown variables': () => optionTable(teardownCommand),
  'broker keygen flags': () => optionTable(keygenCommand),
  'broker token flags': () => optionTable(tokenCommand),
  'broker doctor flags': () => optionTable(doctorCommand),
  'coold doctor flags': () => optionTable(cooldDoctorCommand),
  'coold support-bundle flags': () => optionTable(supportCommand),
  'broker status flags': () => optionTable(statusCommand),
  'coold status flags': () => optionTable(cooldStatusCommand),
  'coold why flags': () => optionTable(whyCommand),
  'code map': codeMapTable,
  verbs: verbTable,
  reasons: reasonTable,
  faults: () => table(faultColumns, faultRows(faults)),
  scale: () => {
    const { head, rows } = scaleTable();
    return table(head, rows);
  },
};

/** The names of everything that is generated. */
export const sectionNames: readonly string[] = Object.keys(sections);

const marked = /<!-- generated: (.+?) -->\n[\s\S]*?<!-- end -->/g;

/** The names of the generated parts of a page, in their order. */
export function sectionsOf(page: string): string[] {
  return [...page.matchAll(marked)].map(([, name = '']) => name);
}

/**
 * Puts between a page's markers what commands, descriptors and the tree say now.
 *
 * @throws Error for markers with a name that nothing generates
 */
export function renderPage(page: string): string {
  return page.replaceAll(marked, (_, name: string) => {
    const section = Object.hasOwn(sections, name) ? sections[name] : undefined;
    if (section === undefined) throw new Error(`a page names a section "${name}" that nothing generates`);
    return `<!-- generated: ${name} -->\n${section()}\n<!-- end -->`;
  });
}

function codeMapTable(): string {
  return table(
    ['folder', 'what it is for'],
    readCodeMap().folders.map(({ folder, purpose }) => [`[\`${folder}\`](../${folder}/)`, purpose]),
  );
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
  const rows = [...readVerbs().values()].map(({ name, http, schema, summary, streams, deadline }) => [
    `\`${name}\``,
    http === undefined
      ? 'stream only'
      : `\`${http.method} ${http.path}\` → ${http.status}${streams ? ', NDJSON as it comes' : ''}`,
    String(schema),
    deadline?.words ?? '',
    summary,
  ]);
  return table(['verb', 'REST', 'schema', 'deadline', 'what it does'], rows);
}

function reasonTable(): string {
  const rows = [...reasons]
    .sort((a, b) => a.code - b.code)
    .map(({ word, code, means, remedy }) => [`\`${word}\``, String(code), `${means}.`, `${remedy}.`]);
  return table(['reason', 'code', 'what happened', 'what to do'], rows);
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

import { type Described, optionRows } from '@coold/runtime';

/**
 * An environment file that names every variable of a command and sets none: what is commented out is the default. Made
 * from the command's own table, so it is never out of date.
 */
export function environmentFile(command: Described): string {
  const rows = optionRows(command).filter(row => row.env !== undefined);
  const entries = rows.map(({ env, help, default: value }) => {
    const note = value === 'required' ? ' (required)' : '';
    return `\n# ${help}${note}\n#${env}=${value === 'required' || value === 'unset' ? '' : value}\n`;
  });
  return `# ${command.name}: ${command.summary}\n${entries.join('')}`;
}

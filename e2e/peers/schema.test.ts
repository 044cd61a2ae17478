// Checks that the peers use the schema of docs/contract.md §1 and nothing else.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { expect, it } from 'vitest';
import { schemaOf, schemaText } from './schema.ts';

const contract = readFileSync(new URL('../../docs/contract.md', import.meta.url), 'utf8');

/** The rows of the table of schema 1: a message or enum, and the text about its fields. */
function tableRows(): [name: string, fields: string][] {
  const [, table = ''] = contract.split('| message | fields |\n|---|---|\n');
  const rows = table.slice(0, table.indexOf('\n\n')).split('\n');
  return rows.map(row => {
    const [, name = '', fields = ''] = row.split('|').map(cell => cell.trim());
    return [name.replace(' (enum)', ''), fields];
  });
}

const typeNames: Record<string, string> = { u32: 'uint32', u64: 'uint64' };

/** Returns `name=number` and the following type for each field in a row. */
function namedFields(fields: string) {
  return [...fields.matchAll(/(\w+)=(\d+)(?: (repeated))?(?: (\w+))?/g)].map(
    ([, name = '', id, repeated, type = '']) => ({
      name,
      id: Number(id),
      type: typeNames[type] ?? type,
      repeated: repeated !== undefined,
    }),
  );
}

it.each(tableRows())('%s is as the table has it', (name, fields) => {
  const found = schemaOf(name);
  const named = namedFields(fields);
  expect(named.length === 0).toBe(fields.startsWith('none'));
  if (found instanceof protobuf.Enum) {
    expect(found.values).toEqual(Object.fromEntries(named.map(({ name, id }) => [name, id])));
    return;
  }
  const own = found.fieldsArray.map(({ name, id, type, repeated }) => ({ name, id, type, repeated }));
  expect(own).toEqual(named);
});

it('has exactly the messages of the table', () => {
  const names = [...schemaText.matchAll(/^(?:message|enum) (\w+)/gm)].map(([, name]) => name);
  expect(names.toSorted()).toEqual(
    tableRows()
      .map(([name]) => name)
      .toSorted(),
  );
});

it('shares no code with the project', () => {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  const peers = readdirSync(folder).filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  const imported = peers.flatMap(name =>
    [...readFileSync(`${folder}${name}`, 'utf8').matchAll(/ from '([^']+)'/g)].map(([, from = '']) => from),
  );
  expect(peers).toContain('broker.ts');
  expect(
    imported.filter(from => !/^(?:node:[\w/]+|\.\/[\w-]+\.ts|protobufjs|@grpc\/grpc-js)$/.test(from)),
  ).toEqual([]);
});

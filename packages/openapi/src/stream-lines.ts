import { type Schema, schemaRef } from './schema.ts';

// The lines that streams are made of (docs/contract.md §2, §3), the same on both transports.

const base64 = { type: 'string', enum: ['base64'], description: 'Given where the data is not UTF-8.' };
const side = (description: string) => ({ type: 'integer', minimum: 1, maximum: 0xffff, description });
const object = (properties: Record<string, Schema>, required: string[], rest = {}): Schema => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
  ...rest,
});

/** The schemas of the lines, by their names in a document. */
export const streamSchemas = {
  OutputLine: object(
    {
      stream: { type: 'string', enum: ['stdout', 'stderr'], description: 'Where it was written.' },
      data: { type: 'string', description: 'What was written.' },
      encoding: base64,
    },
    ['stream', 'data'],
    { description: 'Output, as it was written.' },
  ),
  ExitLine: object(
    { exit_code: { type: 'integer', format: 'int32', description: 'How the program ended.' } },
    ['exit_code'],
    { description: 'The last line of a program that was run.' },
  ),
  ErrorLine: object(
    {
      error: { type: 'string', description: 'What went wrong, for people.' },
      code: { type: 'integer', description: 'As a status of HTTP.' },
      reason: schemaRef('Reason'),
      field: { type: 'string', description: 'The field of the request that offends, where one does.' },
    },
    ['error', 'code', 'reason'],
    { description: 'The last line of a stream that broke off.' },
  ),
  InputLine: {
    description: 'One line of input.',
    oneOf: [
      object({ stdin: { type: 'string', description: 'Bytes for the standard input.' }, encoding: base64 }, [
        'stdin',
      ]),
      object(
        {
          resize: object({ cols: side('Characters of a line.'), rows: side('Lines.') }, ['cols', 'rows'], {
            description: 'The new size of its terminal.',
          }),
        },
        ['resize'],
      ),
      object({ eof: { type: 'boolean', enum: [true], description: 'No input follows.' } }, ['eof']),
    ],
  },
} satisfies Record<string, Schema>;

/** Returns a reference to the schema of a line. */
export function lineRef(name: keyof typeof streamSchemas): Schema {
  return schemaRef(name);
}

// Writes gen/comments.js: what the .proto files say of every message, field, enum and value, by its name. Generated messages do
// not carry comments, and the OpenAPI documents and the clients show them. A step of the setup, after buf has generated the rest.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compileFolder, moduleFolder } from './buf.ts';
import { commentsOf } from './comments-of.ts';

const comments = commentsOf(await compileFolder(moduleFolder));
const folder = join(moduleFolder, 'gen');
await writeFile(
  join(folder, 'comments.js'),
  `export const comments = ${JSON.stringify(Object.fromEntries(comments), null, 1)};\n`,
);
await writeFile(
  join(folder, 'comments.d.ts'),
  'export declare const comments: Readonly<Record<string, string>>;\n',
);

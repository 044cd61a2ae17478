import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { laneDocument } from '@coold/broker/lane-document';
import { openApiDocument } from '@coold/coold/openapi';
import { readVerbs } from '@coold/proto';
import { root } from './tree.ts';

/** A file of the repository that only `npm run docs` writes. */
export interface MadeFile {
  /** Path relative to the root. */
  path: string;
  /** Returns its content. */
  make(): string;
}

/** The OpenAPI documents of both programs, as they are served. */
export const openApiFiles: readonly MadeFile[] = [
  {
    path: 'docs/reference/broker.openapi.json',
    make: () => written(laneDocument(readVerbs().values(), version())),
  },
  {
    path: 'docs/reference/coold.openapi.json',
    make: () => written(openApiDocument(readVerbs().values(), version())),
  },
];

function version(): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}

const written = (document: object) => `${JSON.stringify(document, null, 1)}\n`;

import { phpClientFiles } from '../php-client/generated-files.ts';
import { type MadeFile, openApiFiles } from './openapi-documents.ts';

/** The files that `npm run docs` generates as a whole. */
export const madeFiles: readonly MadeFile[] = [
  ...openApiFiles,
  ...[...phpClientFiles()].map(([path, text]) => ({ path, make: () => text })),
];

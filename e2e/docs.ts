// `npm run docs`: brings the generated parts of the pages up to date.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '@coold/runtime';
import { renderPage } from './docs/generated-tables.ts';
import { listPages, root } from './docs/tree.ts';

for (const page of listPages()) {
  const path = join(root, page);
  const text = await readFile(path, 'utf8');
  const rendered = renderPage(text);
  if (rendered === text) continue;
  await writeFileAtomically(path, rendered, 0o644);
  process.stdout.write(`docs: ${page} changed\n`);
}

// `npm run docs`: updates the generated parts of the pages and the generated files.
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeFileAtomically } from '@coold/runtime';
import { renderPage } from './docs/generated-tables.ts';
import { madeFiles } from './docs/made-files.ts';
import { listPages, root } from './docs/tree.ts';

for (const page of listPages()) {
  const path = join(root, page);
  const text = await readFile(path, 'utf8');
  const rendered = renderPage(text);
  if (rendered === text) continue;
  await writeFileAtomically(path, rendered, 0o644);
  process.stdout.write(`docs: ${page} changed\n`);
}

for (const { path, make } of madeFiles) {
  const text = make();
  if ((await readFile(join(root, path), 'utf8').catch(() => undefined)) === text) continue;
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFileAtomically(join(root, path), text, 0o644);
  process.stdout.write(`docs: ${path} written\n`);
}

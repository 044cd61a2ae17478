// Part of `npm run check`: fails when a file that `npm run docs` generates is out of date.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { madeFiles } from './made-files.ts';
import { root } from './tree.ts';

for (const { path, make } of madeFiles) {
  const present = await readFile(join(root, path), 'utf8').catch(() => undefined);
  if (present === make()) continue;
  process.stdout.write(`${path} is not what it is made from: run npm run docs\n`);
  process.exitCode = 1;
}

// `npm run docs`: brings the generated parts of the README up to date.
import { readFile } from 'node:fs/promises';
import { writeFileAtomically } from '@coold/runtime';
import { renderReadme } from './readme.ts';

const path = new URL('../README.md', import.meta.url).pathname;
await writeFileAtomically(path, renderReadme(await readFile(path, 'utf8')), 0o644);

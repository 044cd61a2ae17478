// Part of `npm run check`: fails when a folder has no purpose in folders.txt, or a purpose has no folder.
import { readCodeMap } from './code-map.ts';

const { problems } = readCodeMap();
for (const problem of problems) process.stdout.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

// Part of `npm run check`: fails where a method of a class is used without its object.
import { join } from 'node:path';
import { findUnboundMethods } from './unbound-methods.ts';

const found = findUnboundMethods(join(import.meta.dirname, '../../tsconfig.json'));
for (const place of found) process.stdout.write(`${place} needs its object: call it in an arrow function\n`);
process.exitCode = found.length === 0 ? 0 : 1;

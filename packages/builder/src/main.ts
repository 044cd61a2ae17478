#!/usr/bin/env node
// Modules of @coold/runtime are imported by subpath: a build needs few of them.
import { SCHEMA_MAX, SCHEMA_MIN } from '@coold/proto/schema-range';
import { fillCompileCache, useCompileCache } from '@coold/runtime/compile-cache';
import { describeRelease } from '@coold/runtime/release';

// Registered before anything else is loaded: a cancel may come at once, and must still produce an error.json.
const cancel = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => cancel.abort());
// The build goes on when the process that started it ends (docs/contract.md §7).
process.on('SIGHUP', () => {});
process.on('uncaughtException', error => {
  process.stderr.write(`builder: ${error.stack}\n`);
  process.exit(2);
});
// Files of the checkout get into images, where programs other than root must read them.
process.umask(0o022);

useCompileCache(import.meta.dirname);
const { runBuilder } = await import('./run-builder.ts');
if (process.argv[2] === 'compile-cache') process.exit(await fillCompileCache([]));
process.exit(
  await runBuilder(process.argv.slice(2), {
    version: describeRelease({ min: SCHEMA_MIN, max: SCHEMA_MAX }),
    env: process.env,
    signal: cancel.signal,
    say: (text, stream) => void process[stream].write(`${text}\n`),
  }),
);

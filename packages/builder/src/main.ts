#!/usr/bin/env node
// What is needed of @coold/runtime is imported part by part below: its index brings a logger, which costs a build 50 ms.
import manifest from '../package.json' with { type: 'json' };

// Before anything else is loaded: a cancel may come at once, and is answered with an error.json all the same.
const cancel = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => cancel.abort());
// Whoever started it may go; the build stays (docs/contract.md §7).
process.on('SIGHUP', () => {});
process.on('uncaughtException', error => {
  process.stderr.write(`builder: ${error.stack}\n`);
  process.exit(2);
});
// What is in the checkout gets into images, where programs that are not root read it.
process.umask(0o022);

const { runBuilder } = await import('./run-builder.ts');
process.exit(
  await runBuilder(process.argv.slice(2), {
    version: manifest.version,
    env: process.env,
    signal: cancel.signal,
    say: (text, stream) => void process[stream].write(`${text}\n`),
  }),
);

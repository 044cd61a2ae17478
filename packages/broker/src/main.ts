#!/usr/bin/env node
import { SCHEMA_MAX, SCHEMA_MIN } from '@coold/proto/schema-range';
import { describeRelease, version } from '@coold/runtime/release';
import { startProgram } from '@coold/runtime/start';

// Called explicitly, so that an open handle does not keep a finished program alive.
process.exit(
  await startProgram({
    name: 'broker',
    version,
    folder: import.meta.dirname,
    release: describeRelease({ min: SCHEMA_MIN, max: SCHEMA_MAX }),
    load: async () => (await import('./commands.ts')).run,
  }),
);

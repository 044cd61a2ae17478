#!/usr/bin/env node
import { runDaemon } from '@coold/runtime';
import manifest from '../package.json' with { type: 'json' };
import { cooldCommand } from './config.ts';
import { cooldTasks } from './daemon.ts';

const { version } = manifest;
const graceMs = 4500;

const code = await runDaemon(
  cooldCommand,
  { argv: process.argv.slice(2), version },
  {
    filter: config => config.logLevel,
    tasks: (config, log, readiness) => cooldTasks(config, version, log, readiness),
    graceMs,
  },
);
// Explicitly, so that nothing that still holds a handle keeps a finished program alive.
process.exit(code);

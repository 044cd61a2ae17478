#!/usr/bin/env node
import { runCommand, runDaemon } from '@coold/runtime';
import manifest from '../package.json' with { type: 'json' };
import { brokerCommand } from './config.ts';
import { statusCommand } from './status-command.ts';
import { keygenCommand, mintTokenFromFile, tokenCommand, writeKeys } from './token.ts';

const { version } = manifest;
/** Everything of a stop together, in ms; the process ends then in any case. */
const stopGraceMs = 4500;

function main(argv: string[]): Promise<number> {
  const [command, ...rest] = argv;
  switch (command) {
    case 'keygen':
      return runCommand(keygenCommand, { argv: rest, version }, async paths => {
        await writeKeys(paths);
        return 0;
      });
    case 'token':
      return runCommand(tokenCommand, { argv: rest, version }, async ({ key, hostId, caps, ttl }) => {
        process.stdout.write(`${await mintTokenFromFile(key, { hostId, caps, ttlMs: ttl })}\n`);
        return 0;
      });
    case 'status':
      return runCommand(statusCommand, { argv: rest, version }, async config => {
        const { showStatus } = await import('./show-status.ts');
        return showStatus(config);
      });
    default:
      return runDaemon(
        brokerCommand,
        { argv, version },
        {
          filter: config => config.logLevel,
          tasks: async (config, log, readiness) => {
            // Loaded here: --help and --version answer without gRPC and HTTP.
            const { serveBroker } = await import('./serve.ts');
            return { serve: serveBroker({ config, version, log, readiness, hangups: process }) };
          },
          graceMs: stopGraceMs,
          heap: 'busy',
        },
      );
  }
}

// Explicitly, so that nothing that still holds a handle keeps a finished program alive.
process.exit(await main(process.argv.slice(2)));

#!/usr/bin/env node
import { runCommand, runDaemon } from '@coold/runtime';
import manifest from '../package.json' with { type: 'json' };
import { cooldCommand } from './config.ts';
import { scaffoldCommand } from './firewall/scaffold-command.ts';
import { teardownCommand } from './firewall/teardown-command.ts';
import { statusCommand } from './status/status-command.ts';

const { version } = manifest;
const graceMs = 4500;

// What a command needs is loaded when it runs: --help and --version answer without gRPC and Podman's client.
function main(argv: string[]): Promise<number> {
  const [command, ...rest] = argv;
  switch (command) {
    case 'scaffold':
      return runCommand(scaffoldCommand, { argv: rest, version }, async config => {
        const { runScaffold } = await import('./firewall/run-scaffold.ts');
        return runScaffold(config);
      });
    case 'firewall': {
      const [action, ...flags] = rest;
      if (action !== 'teardown') {
        process.stderr.write('coold firewall: expected "teardown"\n');
        return Promise.resolve(2);
      }
      return runCommand(teardownCommand, { argv: flags, version }, async config => {
        const { runTeardown } = await import('./firewall/run-teardown.ts');
        return runTeardown(config);
      });
    }
    case 'status':
      return runCommand(statusCommand, { argv: rest, version }, async config => {
        const { showStatus } = await import('./status/show-status.ts');
        return showStatus(config);
      });
    default:
      return runDaemon(
        cooldCommand,
        { argv, version },
        {
          filter: config => config.logLevel,
          tasks: async (config, log, readiness) => {
            const { prepareSnapshotFolders } = await import('./firewall/snapshot-folders.ts');
            await prepareSnapshotFolders(config);
            const { cooldTasks } = await import('./daemon.ts');
            return cooldTasks({ config, version, hangups: process, log, readiness });
          },
          graceMs,
          // It shares its host with what the host is there for.
          heap: 'small',
        },
      );
  }
}

// Explicitly, so that nothing that still holds a handle keeps a finished program alive.
process.exit(await main(process.argv.slice(2)));

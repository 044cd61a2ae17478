import { runCommand, runDaemon } from '@coold/runtime';
import { fillCompileCache } from '@coold/runtime/compile-cache';
import { cooldCommand } from './config.ts';
import { doctorCommand } from './doctor/doctor-command.ts';
import { scaffoldCommand } from './firewall/scaffold/scaffold-command.ts';
import { teardownCommand } from './firewall/scaffold/teardown-command.ts';
import { statusCommand } from './status/status-command.ts';
import { supportCommand } from './support/support-command.ts';
import { readOperands, whyCommand } from './why/why-command.ts';

const graceMs = 4500;

// A command's modules are loaded when it runs, so --help and --version answer without loading gRPC and Podman's client.
/** Runs the command that the arguments name; without one, the daemon. Returns the exit code. */
export function run(argv: string[], version: string): Promise<number> {
  const [command, ...rest] = argv;
  switch (command) {
    case 'scaffold':
      return runCommand(scaffoldCommand, { argv: rest, version }, async config => {
        const { runScaffold } = await import('./firewall/scaffold/run-scaffold.ts');
        return runScaffold(config);
      });
    case 'firewall': {
      const [action, ...flags] = rest;
      if (action !== 'teardown') {
        process.stderr.write('coold firewall: expected "teardown"\n');
        return Promise.resolve(2);
      }
      return runCommand(teardownCommand, { argv: flags, version }, async config => {
        const { runTeardown } = await import('./firewall/scaffold/run-teardown.ts');
        return runTeardown(config);
      });
    }
    case 'doctor':
      return runCommand(doctorCommand, { argv: rest, version }, async config => {
        const { runDoctor } = await import('./doctor/run-doctor.ts');
        return runDoctor(config);
      });
    case 'status':
      return runCommand(statusCommand, { argv: rest, version }, async config => {
        const { showStatus } = await import('./status/show-status.ts');
        return showStatus(config);
      });
    case 'support-bundle':
      return runCommand(supportCommand, { argv: rest, version }, async config => {
        const { runSupportBundle } = await import('./support/run-support-bundle.ts');
        return runSupportBundle(config, version);
      });
    case 'why': {
      const read = readOperands(rest);
      const isAsked =
        read.kind === 'asked' || read.flags.some(flag => ['--help', '-h', '--version'].includes(flag));
      if (!isAsked) {
        process.stderr.write(`coold why: ${read.kind === 'wrong' ? read.why : ''}\n`);
        return Promise.resolve(2);
      }
      return runCommand(whyCommand, { argv: read.flags, version }, async config => {
        const { why } = await import('./why/why.ts');
        return read.kind === 'asked' ? why(config, read.operands) : 2;
      });
    }
    case 'compile-cache':
      return fillCompileCache([
        () => import('./daemon.ts'),
        () => import('./firewall/scaffold/run-scaffold.ts'),
        () => import('./doctor/run-doctor.ts'),
        () => import('./status/show-status.ts'),
        () => import('./why/why.ts'),
      ]);
    default:
      return runDaemon(
        cooldCommand,
        { argv, version },
        {
          filter: config => config.logLevel,
          load: async () => {
            const [{ cooldTasks }, { prepareSnapshotFolders }] = await Promise.all([
              import('./daemon.ts'),
              import('./firewall/store/snapshot-folders.ts'),
            ]);
            return async (config, log, readiness) => {
              await prepareSnapshotFolders(config);
              return cooldTasks({ config, version, hangups: process, log, readiness });
            };
          },
          graceMs,
          // coold shares its host with the apps that the host is there for.
          heap: 'small',
        },
      );
  }
}

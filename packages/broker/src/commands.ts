import { runCommand, runDaemon } from '@coold/runtime';
import { fillCompileCache } from '@coold/runtime/compile-cache';
import { keygenCommand, tokenCommand } from './agent/token-commands.ts';
import { brokerCommand } from './config.ts';
import { doctorCommand } from './doctor/doctor-command.ts';
import { statusCommand } from './status/status-command.ts';

/** Everything of a stop together, in ms; the process ends then in any case. */
const stopGraceMs = 4500;

/** Runs the command that the arguments name, the daemon if they name none. Returns the exit code. */
export function run(argv: string[], version: string): Promise<number> {
  const [command, ...rest] = argv;
  switch (command) {
    case 'keygen':
      return runCommand(keygenCommand, { argv: rest, version }, async paths => {
        const { writeKeys } = await import('./agent/token.ts');
        await writeKeys(paths);
        return 0;
      });
    case 'token':
      return runCommand(tokenCommand, { argv: rest, version }, async ({ key, hostId, caps, ttl }) => {
        const { mintTokenFromFile } = await import('./agent/token.ts');
        process.stdout.write(`${await mintTokenFromFile(key, { hostId, caps, ttlMs: ttl })}\n`);
        return 0;
      });
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
    case 'compile-cache':
      return fillCompileCache([
        () => import('./serve.ts'),
        () => import('./agent/token.ts'),
        () => import('./doctor/run-doctor.ts'),
        () => import('./status/show-status.ts'),
      ]);
    default:
      return runDaemon(
        brokerCommand,
        { argv, version },
        {
          filter: config => config.logLevel,
          load: async () => {
            const { serveBroker } = await import('./serve.ts');
            return (config, log, readiness) => ({
              serve: serveBroker({ config, version, log, readiness, hangups: process }),
            });
          },
          graceMs: stopGraceMs,
          heap: 'busy',
        },
      );
  }
}

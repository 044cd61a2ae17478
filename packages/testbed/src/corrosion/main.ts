// `corrosion agent --config FILE` (-c), as Corrosion's own program is started.
import { setTimeout as delay } from 'node:timers/promises';
import { startAgent } from './agent.ts';
import { readAgentConfig } from './config.ts';

const stopMs = 5100;
const [command, flag, path] = process.argv.slice(2);
if (command !== 'agent' || (flag !== '--config' && flag !== '-c') || path === undefined) {
  process.stderr.write('corrosion: expected: agent --config FILE\n');
  process.exit(2);
}
try {
  const agent = await startAgent(readAgentConfig(path), {
    onRejected: why => void process.stderr.write(`corrosion: could not execute schema: ${why}\n`),
  });
  process.stderr.write(
    `corrosion: API on ${agent.api.host}:${agent.api.port}, stand-in of the e2e harness\n`,
  );
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      // Corrosion's own orderly stop takes this long.
      void Promise.all([agent.close(), delay(stopMs)]).then(() => process.exit(0));
    });
  }
} catch (error) {
  process.stderr.write(`corrosion: ${(error as Error).message}\n`);
  process.exit(1);
}

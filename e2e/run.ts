// `npm run e2e`: the scenarios, on the hosts of a provider. `--list` names them; what else is given is a part of a name.
import { spawnSync } from 'node:child_process';

const args = process.argv.slice(2);
const list = args.includes('--list');
const wanted = args.filter(arg => arg !== '--list');
const flag = wanted.find(arg => arg.startsWith('-'));
if (flag !== undefined) {
  process.stderr.write(`e2e: ${flag}: expected --list, or a part of a scenario's name\n`);
  process.exit(2);
}

const begun = performance.now();
const mode = list ? ['list'] : ['run', '--reporter=verbose'];
const named = wanted.length === 0 ? [] : ['--testNamePattern', wanted.join(' ')];
const { status, error } = spawnSync('vitest', [...mode, ...named, 'e2e/scenarios/'], { stdio: 'inherit' });
if (error !== undefined) process.stderr.write(`e2e: vitest: ${error.message}\n`);
if (!list) process.stdout.write(`e2e: ${((performance.now() - begun) / 1000).toFixed(0)} s\n`);
process.exit(status ?? 1);

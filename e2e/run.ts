// `npm run e2e`: the scenarios, on hosts of the lab, or of Hetzner with E2E_PROVIDER=hetzner. `--list` names them,
// `--sweep` removes servers that killed runs have left at Hetzner; what else is given is a part of a scenario's name.
import { spawnSync } from 'node:child_process';
import { sweep } from './harness/hetzner/sweep.ts';

const args = process.argv.slice(2);
const flags = args.filter(arg => arg.startsWith('-'));
const unknown = flags.find(flag => flag !== '--list' && flag !== '--sweep');
if (unknown !== undefined) {
  process.stderr.write(`e2e: ${unknown}: expected --list, --sweep, or a part of a scenario's name\n`);
  process.exit(2);
}
if (flags.includes('--sweep')) process.exit(await sweep());

const begun = performance.now();
const list = flags.includes('--list');
const mode = list ? ['list'] : ['run', '--reporter=verbose'];
const names = args.filter(arg => !arg.startsWith('-'));
const named = names.length === 0 ? [] : ['--testNamePattern', names.join(' ')];
// A Ctrl-C reaches vitest too, which lets hosts be taken down; its end is ours.
process.on('SIGINT', () => {});
const { status, error } = spawnSync('vitest', [...mode, ...named, 'e2e/scenarios/'], { stdio: 'inherit' });
if (error !== undefined) process.stderr.write(`e2e: vitest: ${error.message}\n`);
if (!list) process.stdout.write(`e2e: ${((performance.now() - begun) / 1000).toFixed(0)} s\n`);
process.exit(status ?? 1);

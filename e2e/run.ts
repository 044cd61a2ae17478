// `npm run e2e`: runs the scenarios on lab hosts, or on Hetzner with E2E_PROVIDER=hetzner. `--list` names them;
// `--sweep` removes servers that killed runs left at Hetzner. Other arguments are parts of scenario names.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sweep } from './harness/hetzner/sweep.ts';
import { HarnessError } from './harness/provider.ts';
import { checkGround, clearGround } from './scenarios/provider.ts';

const args = process.argv.slice(2);
const flags = args.filter(arg => arg.startsWith('-'));
const names = args.filter(arg => !arg.startsWith('-'));

async function main(): Promise<number> {
  const unknown = flags.find(flag => flag !== '--list' && flag !== '--sweep');
  if (unknown !== undefined) {
    process.stderr.write(`e2e: ${unknown}: expected --list, --sweep, or a part of a scenario's name\n`);
    return 2;
  }
  if (flags.includes('--sweep')) return await sweep();
  if (flags.includes('--list')) return await vitest(['list', ...named()]);
  checkGround();
  // Everything that one command creates has this name, so that it can be removed when parts of the command are killed.
  process.env['E2E_GROUP'] = randomBytes(4).toString('hex');
  // Only a short selection of the packet table runs, unless it is named.
  if (names.some(name => name.startsWith('packets'))) process.env['E2E_PACKETS'] = 'whole';
  // Likewise, not all faults are made unless they are named.
  if (names.some(name => name.includes('fault'))) process.env['E2E_FAULTS'] = 'whole';
  const begun = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'coold-e2e-'));
  try {
    const report = join(folder, 'report.json');
    const reporters = ['--reporter=verbose', '--reporter=json', `--outputFile.json=${report}`];
    const code = await vitest(['run', ...reporters, ...named()]);
    const ran = countRun(report);
    if (code === 0 && ran === 0) process.stdout.write(`e2e: no scenario is named ${names.join(' ')}\n`);
    process.stdout.write(`e2e: ${((performance.now() - begun) / 1000).toFixed(0)} s\n`);
    return code === 0 && ran === 0 ? 1 : code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await clearGround();
  }
}

function named(): string[] {
  return names.length === 0 ? [] : ['--testNamePattern', names.join(' ')];
}

/** Returns the number of scenarios that passed or failed; 0 when vitest ended before it could report. */
function countRun(report: string): number {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8')) as Record<
      string,
      number
    >;
    return (numPassedTests ?? 0) + (numFailedTests ?? 0);
  } catch {
    return 0;
  }
}

/** Runs vitest over the scenarios. A signal ends vitest, and then this process once everything left behind is removed. */
function vitest(argv: readonly string[]): Promise<number> {
  const child = spawn('vitest', [...argv, 'e2e/scenarios/'], { stdio: 'inherit' });
  // A Ctrl-C reaches vitest directly; a plain kill reaches only this process.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.once('error', error => reject(new HarnessError(`vitest: ${error.message}`)));
    child.once('close', code => resolve(code ?? 1));
  });
}

try {
  process.exit(await main());
} catch (error) {
  if (!(error instanceof HarnessError)) throw error;
  process.stderr.write(`e2e: ${error.message}\n`);
  process.exit(1);
}

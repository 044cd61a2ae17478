// `npm test`: format, lint, types, the code map, then every test; the last line says what passed, failed and was skipped.
// `--static` stops before the tests, `--fix` formats; what else is given goes to vitest, for example a path.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const args = process.argv.slice(2);
const only = (flag: string) => args.includes(flag);
const rest = args.filter(arg => arg !== '--static' && arg !== '--fix');

function run(label: string, program: string, ...argv: string[]): boolean {
  process.stdout.write(`\n${label}: ${program} ${argv.join(' ')}\n`);
  const { status, error } = spawnSync(program, argv, { stdio: 'inherit' });
  if (error !== undefined) process.stdout.write(`${program}: ${error.message}\n`);
  return status === 0;
}

function checks(): boolean {
  const style = run(
    'format and lint',
    'biome',
    'check',
    '--error-on-warnings',
    ...(only('--fix') ? ['--write'] : []),
  );
  if (only('--fix')) return style;
  const map = run('code map', process.execPath, join(import.meta.dirname, 'docs/check-code-map.ts'));
  return run('types', 'tsc') && map && style;
}

interface Counts {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  success: boolean;
}

function tests(): { ok: boolean; line: string } {
  const folder = mkdtempSync(join(tmpdir(), 'coold-test-'));
  const report = join(folder, 'report.json');
  try {
    const ok = run(
      'tests',
      'vitest',
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...rest,
    );
    const counts = JSON.parse(readFileSync(report, 'utf8')) as Counts;
    // A file that does not load fails no test of its own; it must not look like success.
    const failed = Math.max(counts.numFailedTests, ok ? 0 : 1);
    const skipped = counts.numPendingTests + counts.numTodoTests;
    return {
      ok: ok && counts.success && counts.numPassedTests > 0,
      line: `tests: ${counts.numPassedTests} passed, ${failed} failed, ${skipped} skipped`,
    };
  } catch (error) {
    return { ok: false, line: `tests: 0 passed, 1 failed (${(error as Error).message})` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (!checks()) {
  process.stdout.write(
    '\nformat, lint, types or the code map failed; the tests did not run\ntests: 0 passed, 1 failed\n',
  );
  process.exit(1);
}
if (only('--static') || only('--fix')) process.exit(0);
const { ok, line } = tests();
process.stdout.write(`\n${line}\n`);
process.exit(ok ? 0 : 1);

// `npm test`: format, lint, types, the code map, then every test except the long ones; the last line gives the numbers
// of passed, failed and skipped tests. Long tests are `*.long.test.ts` and every scenario but one. `npm run test:all`
// (`--all`) runs the long ones too; with `--rest`, only those that `npm test` leaves out. `npm run check` (`--static`)
// stops before the tests, and `npm run format` (`--fix`) formats. `npm run dev` (`--watch`) runs the tests that a
// change affects, again at each change. Other arguments, such as a path, are passed to vitest; then the checks are
// skipped.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const flags = ['--static', '--fix', '--all', '--rest', '--watch'] as const;
type Flag = (typeof flags)[number];

const args = process.argv.slice(2);
const has = (flag: Flag) => args.includes(flag);
const forVitest = args.filter(arg => !flags.some(flag => flag === arg));

const longTests = '**/*.long.test.ts';

/** Returns vitest's arguments that select the tests. */
function selection(): string[] {
  if (forVitest.length > 0) return forVitest;
  if (has('--rest')) return ['.long.test.ts'];
  return has('--all') ? [] : [`--exclude=${longTests}`];
}

/** A program that finds mistakes without running tests. */
interface Check {
  label: string;
  program: string;
  args: string[];
}

const script = (label: string, path: string): Check => ({
  label,
  program: process.execPath,
  args: [join(import.meta.dirname, path)],
});

const style: Check = {
  label: 'format and lint',
  program: 'biome',
  args: ['check', '--error-on-warnings', ...(has('--fix') ? ['--write'] : [])],
};

/** The longest come first. */
const allChecks: Check[] = [
  script('methods without their objects', 'checks/check-unbound-methods.ts'),
  {
    label: 'directions of imports',
    program: 'depcruise',
    args: ['packages', 'proto/src', '--output-type', 'err'],
  },
  { label: 'dead code', program: 'knip', args: ['--reporter', 'compact'] },
  { label: 'types', program: 'tsc', args: [] },
  style,
  script('code map', 'docs/check-code-map.ts'),
  script('made files', 'docs/check-made-files.ts'),
];

/** Runs a check, then prints its output. @returns whether it succeeded */
async function passes({ label, program, args }: Check): Promise<boolean> {
  const color = process.stdout.isTTY ? { FORCE_COLOR: '1' } : {};
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...color },
  });
  const said: Buffer[] = [];
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk: Buffer) => said.push(chunk));
  const status = await once(child, 'close').then(
    ([code]) => code,
    (error: Error) => said.push(Buffer.from(`${program}: ${error.message}\n`)),
  );
  process.stdout.write(`\n${label}: ${program} ${args.join(' ')}\n${Buffer.concat(said)}`);
  return status === 0;
}

/** Runs checks two at a time, and continues after a failure. @returns whether all succeeded */
async function allPass(waiting: Check[]): Promise<boolean> {
  const results: boolean[] = [];
  const runNext = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      results.push(await passes(next));
  };
  await Promise.all([runNext(), runNext()]);
  return results.every(Boolean);
}

interface Counts {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  success: boolean;
}

/** How long vitest may take to end after it has written its report, in ms. */
const endMs = 60_000;

/**
 * Runs vitest in its own process group. A failed test may leave a program that keeps its worker alive, and vitest waits
 * for its workers without a limit. So vitest is killed when it has not ended in time after its report.
 *
 * @returns whether vitest ended by itself and succeeded
 */
async function runTests(folder: string, report: string): Promise<boolean> {
  const argv = [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...selection(),
  ];
  process.stdout.write(`\ntests: vitest ${argv.join(' ')}\n`);
  const vitest = spawn('vitest', argv, { stdio: 'inherit', detached: true });
  const killGroup = (signal: NodeJS.Signals) => {
    if (vitest.pid !== undefined && vitest.exitCode === null) process.kill(-vitest.pid, signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => killGroup(signal));
  let due: NodeJS.Timeout | undefined;
  const watcher = watch(folder, () => {
    if (due !== undefined || !existsSync(report)) return;
    due = setTimeout(() => {
      process.stdout.write(`\nvitest did not end within ${endMs / 1000} s of its report and was killed\n`);
      killGroup('SIGKILL');
    }, endMs);
  });
  try {
    const [status] = await once(vitest, 'close');
    return status === 0;
  } finally {
    clearTimeout(due);
    watcher.close();
  }
}

async function tests(): Promise<{ ok: boolean; line: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'coold-test-'));
  const report = join(folder, 'report.json');
  try {
    const ok = await runTests(folder, report);
    const counts = JSON.parse(readFileSync(report, 'utf8')) as Counts;
    // A file that does not load contains no failed test, but must count as a failure.
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

if (has('--watch')) {
  const { status } = spawnSync('vitest', ['watch', '--changed', ...forVitest], { stdio: 'inherit' });
  process.exit(status ?? 1);
}
const isChecked = forVitest.length === 0 && !has('--rest');
if (isChecked && !(await allPass(has('--fix') ? [style] : [...allChecks]))) {
  process.stdout.write('\nthe checks failed; the tests did not run\ntests: 0 passed, 1 failed\n');
  process.exit(1);
}
if (has('--static') || has('--fix')) process.exit(0);
const { ok, line } = await tests();
process.stdout.write(`\n${line}\n`);
process.exit(ok ? 0 : 1);

// `npm run <task>`: brings what the task needs (Debian packages, the pinned Node and pnpm, dependencies, generated
// code), each step skipped when its inputs have not changed, then hands over to the task on the pinned Node.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  benchPackages,
  demoPackages,
  installPackages,
  missingPackages,
  packagingPackages,
  quickstartPackages,
  testPackages,
  unmetNeeds,
} from './system.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const toolchain = join(root, '.toolchain');
const nodeBin = join(toolchain, 'node_modules', `node-linux-${process.arch}`, 'bin');
const pnpmBin = join(toolchain, 'node_modules', '@pnpm', `exe.linux-${process.arch}`);

/** task → the script that does it, and the Debian packages it needs */
const tasks = {
  setup: { script: null, packages: testPackages },
  quickstart: { script: 'e2e/quickstart/main.ts', packages: quickstartPackages },
  demo: { script: 'e2e/demo/main.ts', packages: demoPackages },
  test: { script: 'e2e/test.ts', packages: testPackages },
  'test:all': { script: 'e2e/test.ts', args: ['--all'], packages: testPackages },
  dev: { script: 'e2e/test.ts', args: ['--watch'], packages: testPackages },
  e2e: { script: 'e2e/run.ts', packages: testPackages },
  bench: { script: 'e2e/bench/main.ts', packages: benchPackages },
  check: { script: 'e2e/test.ts', args: ['--static'], packages: [] },
  format: { script: 'e2e/test.ts', args: ['--fix'], packages: [] },
  docs: { script: 'e2e/docs.ts', packages: [] },
  package: { script: 'packaging/build.ts', packages: packagingPackages },
};

const say = line => process.stderr.write(`setup: ${line}\n`);
const stop = (line, code = 1) => {
  say(line);
  process.exit(code);
};

/** Runs one step to its end; its output goes to stderr, since stdout belongs to the task. */
function run(program, args, options = {}) {
  const done = spawnSync(program, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
  if (done.error) stop(`${program}: ${done.error.message}`);
  if (done.status !== 0)
    stop(`${program} ${args.join(' ')} failed (${done.signal ?? `exit ${done.status}`})`);
}

/** Does `work` unless the named inputs are what they were when it last succeeded. */
function once(label, stamp, inputs, work) {
  const hash = createHash('sha256');
  for (const file of inputs)
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0');
  const digest = hash.digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  say(label);
  rmSync(stamp, { force: true });
  work();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, digest);
}

function filesUnder(folder, suffix) {
  return readdirSync(join(root, folder), { recursive: true })
    .map(name => join(folder, String(name)))
    .filter(name => name.endsWith(suffix))
    .sort();
}

const name = process.argv[2] ?? '';
const task = Object.hasOwn(tasks, name)
  ? tasks[name]
  : stop(`no task "${name}": one of ${Object.keys(tasks).join(', ')}`, 2);

if (task.packages.length > 0) {
  const needs = unmetNeeds();
  const missing = process.platform === 'linux' ? missingPackages(task.packages) : task.packages;
  if (needs.length > 0) {
    for (const need of needs) say(`needs ${need}`);
    if (missing.length > 0) say(`and would then install these Debian packages: ${missing.join(' ')}`);
    stop('nothing was changed');
  }
  if (missing.length > 0) {
    say(`installing Debian packages: ${missing.join(' ')}`);
    installPackages(missing, run);
  }
}

/** Fetches the pinned Node and pnpm for a kind of machine, by the lock file's hashes. */
function fetchToolchain(label, folder, arch) {
  const inputs = ['toolchain/package.json', 'toolchain/package-lock.json'];
  once(label, join(folder, '.stamp'), inputs, () => {
    mkdirSync(folder, { recursive: true });
    for (const file of ['package.json', 'package-lock.json'])
      writeFileSync(join(folder, file), readFileSync(join(root, 'toolchain', file)));
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    run('npm', ['ci', '--prefix', folder, `--cpu=${arch}`, '--os=linux', '--libc=glibc', ...quiet]);
  });
}
fetchToolchain('fetching the pinned Node and pnpm', toolchain, process.arch);
// Release assets are made for both kinds of machine.
if (task.packages.includes('patchelf')) {
  const other = process.arch === 'x64' ? 'arm64' : 'x64';
  fetchToolchain(`fetching the pinned Node for ${other}`, join(toolchain, 'other'), other);
}

const env = {
  ...process.env,
  PATH: `${nodeBin}:${pnpmBin}:${join(root, 'node_modules/.bin')}:${process.env.PATH}`,
};
const manifests = [
  'package.json',
  'proto/package.json',
  'packaging/package.json',
  'e2e/package.json',
  ...readdirSync(join(root, 'packages')).map(dir => `packages/${dir}/package.json`),
];
once(
  'installing dependencies',
  join(root, 'node_modules', '.stamp'),
  ['pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests],
  () => {
    run(join(pnpmBin, 'pnpm'), ['install', '--frozen-lockfile', '--reporter=append-only'], { env });
  },
);
once(
  'generating TypeScript from proto/',
  join(root, 'proto/gen', '.stamp'),
  [
    ...['proto/buf.yaml', 'proto/buf.gen.yaml', 'pnpm-lock.yaml'],
    ...['proto/src/write-comments.ts', 'proto/src/comments-of.ts'],
    ...filesUnder('proto/coolify', '.proto'),
  ],
  () => {
    run('buf', ['generate'], { cwd: join(root, 'proto'), env });
    run('node', [join(root, 'proto/src/write-comments.ts')], { env });
  },
);

if (task.script === null) {
  say('done');
  process.exit(0);
}
// What is started often, and by people who wait for it, is compiled once.
if (name === 'quickstart' || name === 'demo')
  env.NODE_COMPILE_CACHE = join(root, 'node_modules/.cache/compiled');
const child = spawn(
  join(nodeBin, 'node'),
  [join(root, task.script), ...(task.args ?? []), ...process.argv.slice(3)],
  { cwd: root, stdio: 'inherit', env },
);
// A Ctrl-C reaches the whole terminal group, the task too; a plain kill reaches only us, so it is handed on.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
// When npm itself is killed no signal comes, neither here nor to the shell between us; then that shell, or we, are somebody
// else's child.
const descent = () => `${process.ppid} ${parentOf(process.ppid)}`;
const born = descent();
if (process.env.npm_lifecycle_event !== undefined)
  setInterval(() => descent() === born || child.kill('SIGTERM'), 500).unref();

/** The parent of a process, empty when that has ended. */
function parentOf(pid) {
  try {
    // The program's name comes second, in parentheses, and may itself hold spaces and parentheses.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
  } catch {
    return '';
  }
}
child.on('exit', (code, signal) =>
  process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]),
);

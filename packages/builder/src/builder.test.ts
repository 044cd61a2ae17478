// The builder as coold starts it, against real git, buildah, storage and a real registry.
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import {
  createRepository,
  freePort,
  type GitDaemon,
  type GitRepository,
  type PodmanService,
  type Registry,
  scratchFolder,
  startGitDaemon,
  startPodman,
  startRegistry,
} from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Frame } from './frames.ts';
import { type Ended, outcomeOf, type Running, type Start, startBuilder } from './testing.ts';

let stack: AsyncDisposableStack;
let podman: PodmanService;
let registry: Registry;
let daemon: GitDaemon;
let folder: string;
/** Static busybox, in the registry only. */
let base: string;
/** Answers nothing on any connection. */
let hanging: string;
let count = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  folder = stack.use(await scratchFolder()).path;
  podman = stack.use(await startPodman(join(folder, 'podman')));
  registry = stack.use(
    await startRegistry(podman, { folder: join(folder, 'registry'), port: await freePort() }),
  );
  daemon = stack.use(
    await startGitDaemon({ folder: join(folder, 'git'), port: await freePort(), inside: podman.netnsPid }),
  );
  base = `${registry.address}/base:1`;
  const tiny = await podman.ensureTinyImage();
  await inside(`podman tag ${tiny} ${base} && podman push -q ${base} && podman rmi ${base}`);
  await repository('site', {
    'dist/index.html': '<h1>hello</h1>\n',
    'dist/sub/page.html': 'page\n',
    'src/secret.txt': 'no\n',
  });
  await largeRepository();
  await repository('loud', {
    Dockerfile: `FROM ${base}\n${busybox('/bin/busybox yes 0123456789 | /bin/busybox head -n 1500000')}`,
  });
  await repository('sleeping', {
    Dockerfile: `FROM ${base}\n${busybox('echo asleep; /bin/busybox sleep 987654')}`,
  });
  hanging = `127.0.0.1:${await startHanging(stack)}`;
}, 120_000);

afterAll(() => stack.disposeAsync(), 60_000);

/** A line of shell beside Podman, for its command line. */
function inside(line: string): Promise<string> {
  return expectDone([...podman.beside, 'sh', '-c', line]);
}

/** The same, and what it mounts stays. */
function inMounts(line: string): Promise<string> {
  return expectDone(['nsenter', '-t', String(podman.netnsPid), '-n', '-m', '--', 'sh', '-c', line]);
}

async function expectDone([program = '', ...args]: string[]): Promise<string> {
  const { code, stdout, stderr } = await runChild(program, args, {
    timeoutMs: 60_000,
    env: { PATH: process.env['PATH'], ...podman.environment },
  });
  if (code !== 0) throw new Error(`${args.at(-1)}: exit ${code}: ${stderr}`);
  return stdout.trim();
}

/** A line of shell with `$d` as an image's files. */
function inImage(image: string, line: string): Promise<string> {
  return inside(`d=$(podman image mount ${image}); ${line}; podman image unmount ${image} >/dev/null`);
}

async function startHanging(owner: AsyncDisposableStack): Promise<number> {
  const port = await freePort();
  const script = `require('net').createServer(s => s.on('error', () => {}).resume()).listen(${port}, '127.0.0.1', () => console.log('up'))`;
  const enter = ['nsenter', '-t', String(podman.netnsPid), '-n', '--', process.execPath, '-e', script];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...enter], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  owner.defer(() => void child.kill('SIGKILL'));
  await new Promise(resolve => child.stdout.once('data', resolve));
  return port;
}

/** A step that runs a shell's script. */
const busybox = (script: string) => `RUN ["/bin/busybox", "sh", "-c", ${JSON.stringify(script)}]\n`;

/** Thousands of files, and one of 50 MB. */
async function largeRepository(): Promise<void> {
  const large = await createRepository(join(folder, 'git/large'));
  const blob = (name: string, content: string) =>
    `M 100644 inline dist/${name}\ndata ${content.length}\n${content}\n`;
  const files = Array.from({ length: 5000 }, (_, i) => blob(`${i % 100}/${i}.txt`, `${i}`));
  const head = 'commit refs/heads/main\ncommitter t <t@t> 0 +0000\ndata 1\nx\n';
  const { code, stderr } = await runChild('git', ['fast-import', '--quiet'], {
    cwd: large.path,
    input: head + files.join('') + blob('zeros', '\0'.repeat(50_000_000)),
    timeoutMs: 120_000,
  });
  if (code !== 0) throw new Error(stderr);
}

async function repository(
  name: string,
  files: Parameters<GitRepository['commit']>[0],
): Promise<GitRepository> {
  const made = await createRepository(join(folder, 'git', name));
  await made.commit(files);
  return made;
}

function request(fields: object = {}): object {
  const common = { repo_url: `${daemon.url}/site`, git_ref: 'main', target_image: 'localhost/built:1' };
  return { ...common, stack: 'static', static_cfg: { base_image: base }, ...fields };
}

function dockerfileRequest(repo: string, config: object = {}): object {
  const fields = { repo_url: `${daemon.url}/${repo}`, stack: 'dockerfile', dockerfile_cfg: config };
  return request({ ...fields, static_cfg: undefined });
}

function start(body: object | undefined, options: Partial<Start> = {}): Promise<Running> {
  count += 1;
  const workDir = join(folder, `work-${count}`);
  return startBuilder(podman, { workDir, ...(body === undefined ? {} : { request: body }), ...options });
}

async function build(body: object, options: Partial<Start> = {}): Promise<Ended> {
  return (await start(body, options)).ended;
}

/** What is in a folder of an image: type, mode, name and target of a symlink, sorted. */
async function listing(image: string, path: string): Promise<string[]> {
  const shown = await inImage(image, `cd "$d${path}"; find . -mindepth 1 -printf '%y %m %P %l\\n'; cd /`);
  return shown
    .split('\n')
    .map(line => line.trim())
    .sort();
}

const workingContainers = () => inside('buildah containers -q');
const logged = (text: string) => (frame: Frame) => frame.type === 'progress' && frame.log.includes(text);

describe('a static site', () => {
  it('becomes the image that Podman knows by its digest', async () => {
    const running = await start(request());
    const ended = await running.ended;
    const digest = await inside(`podman image inspect --format '{{.Digest}}' localhost/built:1`);
    const baseDigest = await inside(`podman image inspect --format '{{.Digest}}' ${base}`);
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(digest).not.toBe(baseDigest);
    const ok = {
      digest,
      registry_ref: `localhost/built:1@${digest}`,
      duration_ms: expect.any(Number),
      stack_used: 'static',
    };
    expect(ended).toMatchObject({ code: 0, stderr: '', error: undefined, result: ok });
    expect(ended.files.sort()).toEqual(['events.ndjson', 'request.json', 'result.json']);
    expect(ended.stdout).toEqual(ended.events);
    expect(ended.events.at(-1)).toEqual({ type: 'result', ok });
    for (const name of ended.files)
      expect((await stat(join(running.workDir, name))).mode & 0o777, name).toBe(0o600);
    const percents = ended.events.flatMap(frame => (frame.type === 'progress' ? [frame.percent] : []));
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
    expect(await listing('localhost/built:1', '/usr/share/nginx/html')).toEqual([
      'd 755 sub',
      'f 644 index.html',
      'f 644 sub/page.html',
    ]);
    expect(await inImage('localhost/built:1', 'stat -c %a "$d/usr/share/nginx/html"')).toBe('755');
  });

  it('is built in the same way again, and from a base image that is only here', async () => {
    const tiny = await podman.ensureTinyImage();
    expect(await build(request({ static_cfg: { base_image: tiny } }))).toMatchObject({ code: 0 });
  });

  it('holds what its folder holds, with nothing left out, followed or run', async () => {
    const marker = join(folder, 'ran');
    await repository('tricks', {
      'dist/.dockerignore': '*\n',
      'dist/.containerignore': '*\n',
      'dist/Containerfile': `FROM scratch\nRUN touch ${marker}\n`,
      'dist/passwd': { symlink: '/etc/passwd' },
      'dist/root': { symlink: '/' },
      'dist/up': { symlink: '../..' },
      'dist/loop': { symlink: 'loop' },
      'dist/here': { symlink: '.' },
      'dist/a\nRUN id': 'x',
      'dist/-rf': 'x',
      'dist/*': 'x',
      Dockerfile: `FROM scratch\nRUN touch ${marker}\n`,
      '.dockerignore': '*\n',
    });
    const ended = await build(
      request({ repo_url: `${daemon.url}/tricks`, target_image: 'localhost/tricks:1' }),
    );
    expect(ended).toMatchObject({ code: 0 });
    expect(await listing('localhost/tricks:1', '/usr/share/nginx/html')).toEqual([
      'RUN id',
      'f 644 *',
      'f 644 -rf',
      'f 644 .containerignore',
      'f 644 .dockerignore',
      'f 644 Containerfile',
      'f 644 a',
      'l 777 here .',
      'l 777 loop loop',
      'l 777 passwd /etc/passwd',
      'l 777 root /',
      'l 777 up ../..',
    ]);
    await expect(stat(marker)).rejects.toThrow();
  });

  it('whose folder leads out of the repository is refused', async () => {
    await repository('outside', { dist: { symlink: '/etc' } });
    expect(await build(request({ repo_url: `${daemon.url}/outside` }))).toMatchObject({
      code: 1,
      error: {
        code: 422,
        stage: 'stack',
        message: 'static_cfg.output_dir: "dist" leads out of the repository',
      },
      files: expect.not.arrayContaining(['scratch', 'result.json']),
    });
  });

  it('may have thousands of files and a large one', async () => {
    const ended = await build(
      request({ repo_url: `${daemon.url}/large`, target_image: 'localhost/large:1' }),
    );
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.files.sort()).toEqual(['events.ndjson', 'request.json', 'result.json']);
    const listed = await listing('localhost/large:1', '/usr/share/nginx/html');
    expect(listed.filter(line => line.startsWith('f '))).toHaveLength(5001);
  }, 180_000);
});

describe('a base image', () => {
  it.each([
    ['that its registry does not have', () => `${registry.address}/nothing:1`],
    ['whose registry is not there', () => '127.0.0.1:9/base:1'],
  ])('%s is an error that names it', async (_why, image) => {
    const ended = await build(request({ static_cfg: { base_image: image() } }));
    expect(ended).toMatchObject({ code: 1, error: { code: 502, stage: 'buildah' } });
    expect(ended.error?.message).toContain(image());
    expect(await workingContainers()).toBe('');
  });
});

describe('a Dockerfile', () => {
  it('is built with its arguments up to its target, and what it ignores is not there', async () => {
    await repository('docker', {
      'docker/web.in': `FROM ${base} AS first\nARG GREETING\nARG OTHER=none\nCOPY . /src/\n${busybox(
        'echo "$GREETING, $OTHER" >/greeting; cat /etc/shadow',
      ).replace('; cat /etc/shadow', '')}FROM first AS second\n${busybox('exit 1')}`,
      '.dockerignore': 'secret*\n',
      'secret.txt': 'x',
      'app.txt': 'x',
    });
    const config = {
      dockerfile: 'docker/web.in',
      build_args: { GREETING: 'a=b "c"\n$(id)', UNUSED: 'x' },
      target: 'first',
    };
    const ended = await build({ ...dockerfileRequest('docker', config), cache_key: 'web' });
    expect(ended).toMatchObject({ code: 0, result: { stack_used: 'dockerfile' } });
    expect(await listing('localhost/built:1', '/src')).toContain('f 644 app.txt');
    expect(await listing('localhost/built:1', '/src')).not.toContain('f 644 secret.txt');
    const greeting = await inImage('localhost/built:1', 'cat "$d/greeting"');
    expect(greeting).toBe('a=b "c"\n$(id), none');
  });

  it('runs its steps in a container: no devices, no cgroups, no other processes, no kernel settings', async () => {
    const probe = [
      'echo "devices: $(/bin/busybox find /dev -type b | /bin/busybox wc -l) $(/bin/busybox ls /dev | /bin/busybox grep -c -E "mem|kmsg|sd|vd")"',
      'echo "cgroups: $(/bin/busybox ls /sys/fs/cgroup | /bin/busybox wc -l)"',
      'echo "processes: $(/bin/busybox ls /proc | /bin/busybox grep -c -E "^[0-9]+$")"',
      '(echo x >/proc/sys/kernel/core_pattern) 2>/dev/null || echo "core_pattern: refused"',
      '/bin/busybox mount -t tmpfs x /mnt 2>/dev/null || echo "mount: refused"',
      '/bin/busybox mknod /disk b 8 0 2>/dev/null || echo "mknod: refused"',
    ].join('\n');
    await repository('probe', { Containerfile: `FROM ${base}\n${busybox(probe)}` });
    const ended = await build(dockerfileRequest('probe'));
    expect(ended).toMatchObject({ code: 0 });
    const log = ended.events.map(frame => (frame.type === 'progress' ? frame.log : '')).join('\n');
    expect(log).toContain('devices: 0 0');
    expect(log).toContain('cgroups: 0');
    for (const what of ['core_pattern', 'mount', 'mknod']) expect(log).toContain(`\n${what}: refused`);
    expect(Number(/^processes: (\d+)$/m.exec(log)?.[1])).toBeLessThan(8);
  });

  it.each([
    ['FROM tarball:FOLDER/x.tar\n', ''],
    ['FROM BASE\nCOPY --from=tarball:FOLDER/x.tar /f /f\nRUN ["/bin/busybox","cat","/f"]\n', ''],
    ['FROM docker-archive:FOLDER/x.tar\n', ''],
    ['FROM BASE\nRUN --mount=type=bind,source=link,target=/p ["/bin/busybox","cat","/p/f"]\n', 'stack'],
    [
      'FROM BASE\nRUN --mount=type=cache,id=../../../../..FOLDER,target=/p ["/bin/busybox","cat","/p/f"]\n',
      'stack',
    ],
    ['FROM BASE\nCOPY link/f /f\nRUN ["/bin/busybox","cat","/f"]\n', ''],
    ['FROM BASE\nADD file://FOLDER/f /f\nRUN ["/bin/busybox","cat","/f"]\n', ''],
  ])('gets no file of the host: %j', async (containerfile, stage) => {
    const host = join(folder, 'host');
    await mkdir(host, { recursive: true });
    await writeFile(join(host, 'f'), 'of the host\n');
    await inside(`tar -C ${host} -cf ${host}/x.tar f`);
    await rm(join(folder, 'git/greedy'), { recursive: true, force: true });
    await repository('greedy', {
      Dockerfile: containerfile.replaceAll('FOLDER', host).replaceAll('BASE', base),
      link: { symlink: host },
    });
    const ended = await build(dockerfileRequest('greedy'));
    expect(ended).toMatchObject({ code: 1, error: { code: expect.any(Number), stage: stage || 'buildah' } });
    expect(JSON.stringify(ended.events)).not.toContain('of the host');
  });

  it('whose base image was made to ask for a file of the host does not get it', async () => {
    const host = join(folder, 'onbuild');
    await mkdir(host, { recursive: true });
    await writeFile(join(host, 'f'), 'of the host\n');
    await inside(
      `tar -C ${host} -cf ${host}/x.tar f && printf 'FROM ${base}\\nONBUILD COPY --from=tarball:${host}/x.tar /f /f\\n' | buildah bud --format=docker --isolation=chroot -t localhost/onbuild:1 -f - ${host}`,
    );
    await repository('onbuild', {
      Dockerfile: 'FROM localhost/onbuild:1\nRUN ["/bin/busybox","cat","/f"]\n',
    });
    expect(await build(dockerfileRequest('onbuild'))).toMatchObject({ code: 1, error: { stage: 'buildah' } });
  });

  it('whose step fails is an error that names it, with what the step said in the log', async () => {
    await repository('failing', { Dockerfile: `FROM ${base}\n${busybox('echo so it goes >&2; exit 7')}` });
    const ended = await build(dockerfileRequest('failing'));
    expect(ended).toMatchObject({ code: 1, error: { code: 422, stage: 'buildah' } });
    expect(ended.error?.message).toMatch(/RUN .*exit status 7/);
    expect(ended.events.some(logged('so it goes'))).toBe(true);
    expect(await workingContainers()).toBe('');
  });

  it('that says more than is kept is built all the same', async () => {
    const running = await start(dockerfileRequest('loud'));
    const ended = await running.ended;
    expect(ended).toMatchObject({ code: 0 });
    expect((await stat(join(running.workDir, 'events.ndjson'))).size).toBeLessThan(5_000_000);
    expect(ended.events.some(logged('is not kept'))).toBe(true);
  });
});

describe('who reads stdout', () => {
  it('may be gone', async () => {
    const running = await start(request());
    running.process.stdout?.destroy();
    expect(await running.ended).toMatchObject({
      code: 0,
      events: expect.arrayContaining([{ type: 'result', ok: expect.anything() }]),
    });
  });

  it('may read nothing at all', async () => {
    const running = await start(dockerfileRequest('loud'));
    running.process.stdout?.pause();
    const code = await new Promise(resolve => running.process.once('exit', resolve));
    expect(code).toBe(0);
    running.process.stdout?.destroy();
    expect((await outcomeOf(running.workDir)).result).toMatchObject({ stack_used: 'dockerfile' });
  });

  it('may have closed it before the start', async () => {
    expect(await build(request(), { under: ['sh', '-c', 'exec "$@" >&-', 'sh'] })).toMatchObject({ code: 0 });
  });
});

describe('a request that cannot be meant', () => {
  it.each([
    [{ git_ref: '--upload-pack=touch' }, 'git_ref'],
    [{ repo_url: 'ext::sh -c id' }, 'repo_url'],
    [{ repo_url: 'file:///etc' }, 'repo_url'],
    [{ static_cfg: { output_dir: '../..' } }, 'static_cfg.output_dir'],
  ])('is named by its field: %j', async (fields, field) => {
    expect(await build(request(fields))).toMatchObject({
      code: 2,
      error: { code: 400, stage: 'request', message: expect.stringMatching(`^${field}: `) },
      files: expect.arrayContaining(['error.json']),
    });
  });

  it.each(['buildpacks', 'railpack'])('because %s is not there yet says so', async name => {
    const ended = await build(request({ stack: name, static_cfg: undefined }));
    expect(ended).toMatchObject({ code: 1, error: { code: 501, stage: 'stack' } });
    expect(ended.error?.message).toContain(name);
  });

  it('because it is no JSON, or not there, is an error of the file', async () => {
    const workDir = join(folder, 'no-json');
    await mkdir(workDir);
    await writeFile(join(workDir, 'other.json'), '{"repo_url":');
    const wrong = await start(undefined, { workDir, args: [join(workDir, 'other.json'), workDir] });
    expect(await wrong.ended).toMatchObject({
      code: 2,
      error: { message: expect.stringContaining('is not JSON') },
    });
    expect(await (await start(undefined)).ended).toMatchObject({
      code: 2,
      error: { message: expect.stringContaining('cannot be read: ENOENT') },
    });
  });

  it.each([[[]], [['one']], [['a', 'b', 'c']], [['--force', 'a']], [['/nowhere/request.json', '/nowhere']]])(
    'on the command line is one line: %j',
    async args => {
      const ended = await (await start(undefined, { args })).ended;
      expect(ended).toMatchObject({ code: 2, stdout: [], files: [] });
      expect(ended.stderr).toMatch(/^builder: .+\n$/);
    },
  );

  it('because it has its outcome already changes nothing', async () => {
    const first = await start(request({ git_ref: 'nowhere' }));
    const { error } = await first.ended;
    expect(error).toMatchObject({ code: 422, stage: 'git' });
    const again = await startBuilder(podman, { workDir: first.workDir, request: request() });
    expect(await again.ended).toMatchObject({ code: 2, error, result: undefined });
  });
});

/** Programs of this machine whose command line or working folder names a work folder, by their ids. */
async function processesOf(workDir: string): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    const line = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if (`${line} ${cwd}`.includes(`${workDir}/`)) found.set(Number(pid), line);
  }
  return found;
}

describe('a cancel', () => {
  const stages: [string, () => object, string][] = [
    ['while git waits for its server', () => request({ repo_url: `git://${hanging}/site` }), 'fetching'],
    ['while many files are checked out', () => request({ repo_url: `${daemon.url}/large` }), 'checking out'],
    [
      'while the base image is pulled',
      () => request({ static_cfg: { base_image: `${hanging}/base:1` } }),
      'Trying to pull',
    ],
    ['while files are copied', () => request({ repo_url: `${daemon.url}/large` }), 'COPY'],
    ['while the image is written', () => request({ repo_url: `${daemon.url}/large` }), 'COMMIT'],
    ['while a step runs', () => dockerfileRequest('sleeping'), 'asleep'],
  ];

  it.each(stages)(
    '%s ends it with all it started',
    async (_when, body, log) => {
      const running = await start(body());
      await running.frame(logged(log));
      running.process.kill('SIGTERM');
      running.process.kill('SIGTERM'); // again changes nothing
      const ended = await running.ended;
      expect(ended).toMatchObject({
        code: 130,
        result: undefined,
        error: { code: 499, message: 'cancelled', stage: 'cancel' },
      });
      expect(ended.events.at(-1)).toMatchObject({ type: 'error', err: { code: 499 } });
      expect([...(await processesOf(running.workDir)).values()]).toEqual([]);
      expect(await workingContainers()).toBe('');
      expect(await build(request())).toMatchObject({ code: 0 });
    },
    120_000,
  );

  it('that its tools get as well, and first, is a cancel and not their failure', async () => {
    const running = await start(request({ repo_url: `git://${hanging}/site` }));
    await running.frame(logged('fetching'));
    let children: string[] = [];
    while (children.length === 0) {
      const path = `/proc/${running.process.pid}/task/${running.process.pid}/children`;
      children = (await readFile(path, 'utf8')).split(' ').filter(pid => pid !== '');
    }
    for (const pid of children) process.kill(Number(pid), 'SIGTERM');
    running.process.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 130, error: { code: 499 } });
  });
});

describe('a builder that is killed', () => {
  it.each([
    ['git', () => request({ repo_url: `${daemon.url}/large` }), 'checking out'],
    ['buildah', () => request({ repo_url: `${daemon.url}/large` }), 'COMMIT'],
  ] as [string, () => object, string][])(
    'in %s leaves whole lines, no outcome, and a folder that can be built in again',
    async (_stage, body, log) => {
      const running = await start(body());
      await running.frame(logged(log));
      running.process.kill('SIGKILL');
      const ended = await running.ended;
      expect(ended).toMatchObject({ code: null, signal: 'SIGKILL', result: undefined, error: undefined });
      expect(ended.events.length).toBeGreaterThan(0);
      const again = await startBuilder(podman, { workDir: running.workDir, request: request() });
      expect(await again.ended).toMatchObject({ code: 0, files: expect.not.arrayContaining(['scratch']) });
    },
    120_000,
  );
});

describe('working containers', () => {
  /** As systemd does with what is left of a unit. */
  async function killAll(running: Running): Promise<void> {
    while ((await processesOf(running.workDir)).size > 0)
      for (const pid of (await processesOf(running.workDir)).keys()) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It went with another.
        }
      }
    await running.ended;
  }

  it.each([true, false])(
    'of a build that was killed go with the next one, whether its folder is there: %s',
    async isThere => {
      const killed = await start(dockerfileRequest('sleeping'));
      await killed.frame(logged('asleep'));
      await killAll(killed);
      expect(await workingContainers()).not.toBe('');
      if (!isThere) await rm(killed.workDir, { recursive: true });
      const before = await readdir(folder);
      const after = await build(request());
      expect(after).toMatchObject({ code: 0 });
      expect(await workingContainers()).toBe('');
      expect(after.events.some(logged('stays for now'))).toBe(false);
      // In a unit it could not: other builds' folders are read-only there.
      expect(await readdir(folder), 'nothing but a folder of its own').toHaveLength(before.length + 1);
    },
    120_000,
  );

  it('of a build that runs stay, and so do those of somebody else', async () => {
    const foreign = await inside('buildah from scratch >/dev/null; buildah containers -q');
    const running = await start(dockerfileRequest('sleeping'));
    await running.frame(logged('asleep'));
    const before = await workingContainers();
    expect(before.split('\n')).toHaveLength(2);
    expect(await build(request())).toMatchObject({ code: 0 });
    expect(await workingContainers()).toBe(before);
    running.process.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 130 });
    expect(await workingContainers()).toBe(foreign);
    await inside(`buildah rm ${foreign}`);
  }, 120_000);
});

describe('a full disk', () => {
  /** A work folder on a disk of its own, seen from within Podman's mounts and from here. */
  async function disk(size: string): Promise<{ path: string; view: string }> {
    count += 1;
    const path = join(folder, `disk-${count}`);
    await inMounts(`mkdir -m 700 ${path} && mount -t tmpfs -o size=${size} disk ${path}`);
    return { path, view: `/proc/${podman.netnsPid}/root${path}` };
  }

  it('that the repository fills is an error on disk', async () => {
    const { path, view } = await disk('4m');
    const body = request({ repo_url: `${daemon.url}/large` });
    const ended = await (await start(body, { workDir: view, args: [`${path}/request.json`, path] })).ended;
    expect(ended).toMatchObject({ code: 1, result: undefined, error: { code: 507 } });
    expect(ended.files.sort()).toEqual(['error.json', 'events.ndjson', 'request.json']);
  }, 60_000);

  it('on which nothing fits is exit 2, and no part of a file', async () => {
    const { path, view } = await disk('64k');
    await writeFile(join(view, 'request.json'), JSON.stringify(request()));
    await inMounts(`cat /dev/zero >${path}/filler 2>/dev/null || true`);
    const args = [`${path}/request.json`, path];
    const ended = await (await start(undefined, { workDir: view, args })).ended;
    expect(ended).toMatchObject({ code: 2, result: undefined, error: undefined, events: [] });
    expect(ended.stderr).toMatch(/^builder: .*ENOSPC/);
    expect(ended.files.sort()).toEqual(['events.ndjson', 'filler', 'request.json']);
  });
});

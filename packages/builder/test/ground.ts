// The real services that tests of builds need: Podman's storage, a registry with a base image, a git server.
import { spawn } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
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
import type { Frame } from '../src/frames.ts';
import { type Ended, type Running, type Start, startBuilder } from './start-builder.ts';

export interface Ground extends AsyncDisposable {
  folder: string;
  podman: PodmanService;
  registry: Registry;
  daemon: GitDaemon;
  /** Static busybox, in the registry only. */
  base: string;
  /** A line of shell beside Podman, for its command line. */
  inside(line: string): Promise<string>;
  /** The same, and what it mounts stays. */
  inMounts(line: string): Promise<string>;
  /** A line of shell with `$d` as an image's files. */
  inImage(image: string, line: string): Promise<string>;
  /** What is in a folder of an image: type, mode, name and target of a symlink, sorted. */
  listing(image: string, path: string): Promise<string[]>;
  workingContainers(): Promise<string>;
  repository(name: string, files: Parameters<GitRepository['commit']>[0]): Promise<GitRepository>;
  /** A repository of so many small files in `dist`, a hundred folders, and one of zeros, in bytes. */
  largeRepository(name: string, files: number, zeros: number): Promise<void>;
  /** Starts a server that accepts connections and never answers. @returns its address */
  startHanging(): Promise<string>;
  /** The request of a static build of repository `site`. */
  request(fields?: object): object;
  dockerfileRequest(repo: string, config?: object): object;
  /** Returns the path of a new work folder. */
  newWorkFolder(): string;
  start(body: object | undefined, options?: Partial<Start>): Promise<Running>;
  build(body: object, options?: Partial<Start>): Promise<Ended>;
}

export const logged = (text: string) => (frame: Frame) =>
  frame.type === 'progress' && frame.log.includes(text);

/** A step that runs a shell's script. */
export const busybox = (script: string) => `RUN ["/bin/busybox", "sh", "-c", ${JSON.stringify(script)}]\n`;

export async function createGround(): Promise<Ground> {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await scratchFolder()).path;
  const podman = stack.use(await startPodman(join(folder, 'podman')));
  const registry = stack.use(
    await startRegistry(podman, { folder: join(folder, 'registry'), port: await freePort() }),
  );
  const daemon = stack.use(
    await startGitDaemon({ folder: join(folder, 'git'), port: await freePort(), inside: podman.netnsPid }),
  );
  const base = `${registry.address}/base:1`;
  let count = 0;

  async function expectDone([program = '', ...args]: string[]): Promise<string> {
    const { code, stdout, stderr } = await runChild(program, args, {
      timeoutMs: 60_000,
      env: { PATH: process.env['PATH'], ...podman.environment },
    });
    if (code !== 0) throw new Error(`${args.at(-1)}: exit ${code}: ${stderr}`);
    return stdout.trim();
  }
  const inside = (line: string) => expectDone([...podman.beside, 'sh', '-c', line]);
  const inImage = (image: string, line: string) =>
    inside(`d=$(podman image mount ${image}); ${line}; podman image unmount ${image} >/dev/null`);
  const request = (fields: object = {}) => {
    const common = { repo_url: `${daemon.url}/site`, git_ref: 'main', target_image: 'localhost/built:1' };
    return { ...common, stack: 'static', static_cfg: { base_image: base }, ...fields };
  };
  const newWorkFolder = () => {
    count += 1;
    return join(folder, `work-${count}`);
  };
  const start = (body: object | undefined, options: Partial<Start> = {}) =>
    startBuilder(podman, {
      workDir: newWorkFolder(),
      ...(body === undefined ? {} : { request: body }),
      ...options,
    });
  const repository: Ground['repository'] = async (name, files) => {
    const made = await createRepository(join(folder, 'git', name));
    await made.commit(files);
    return made;
  };

  const tiny = await podman.ensureTinyImage();
  await inside(`podman tag ${tiny} ${base} && podman push -q ${base} && podman rmi ${base}`);
  await repository('site', {
    'dist/index.html': '<h1>hello</h1>\n',
    'dist/sub/page.html': 'page\n',
    'src/secret.txt': 'no\n',
  });
  await repository('sleeping', {
    Dockerfile: `FROM ${base}\n${busybox('echo asleep; /bin/busybox sleep 987654')}`,
  });

  return {
    folder,
    podman,
    registry,
    daemon,
    base,
    inside,
    inImage,
    request,
    newWorkFolder,
    start,
    repository,
    inMounts: line =>
      expectDone(['nsenter', '-t', String(podman.netnsPid), '-n', '-m', '--', 'sh', '-c', line]),
    async listing(image, path) {
      const shown = await inImage(image, `cd "$d${path}"; find . -mindepth 1 -printf '%y %m %P %l\\n'; cd /`);
      return shown
        .split('\n')
        .map(line => line.trim())
        .sort();
    },
    workingContainers: () => inside('buildah containers -q'),
    async largeRepository(name, files, zeros) {
      const large = await createRepository(join(folder, 'git', name));
      const blob = (file: string, content: string) =>
        `M 100644 inline dist/${file}\ndata ${content.length}\n${content}\n`;
      const small = Array.from({ length: files }, (_, i) => blob(`${i % 100}/${i}.txt`, `${i}`));
      const head = 'commit refs/heads/main\ncommitter t <t@t> 0 +0000\ndata 1\nx\n';
      const file = join(folder, `${name}.import`);
      await writeFile(file, head + small.join(''));
      const tail =
        zeros === 0
          ? 'true'
          : `printf 'M 100644 inline dist/zeros\\ndata ${zeros}\\n' && head -c ${zeros} /dev/zero && echo`;
      const script = `(cat '${file}' && ${tail}) | git -c core.compression=1 fast-import --quiet`;
      const { code, stderr } = await runChild('sh', ['-c', script], { cwd: large.path, timeoutMs: 300_000 });
      await rm(file);
      if (code !== 0) throw new Error(stderr);
    },
    async startHanging() {
      const port = await freePort();
      const script = `require('net').createServer(s => s.on('error', () => {}).resume()).listen(${port}, '127.0.0.1', () => console.log('up'))`;
      const enter = ['nsenter', '-t', String(podman.netnsPid), '-n', '--', process.execPath, '-e', script];
      const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...enter], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      stack.defer(() => void child.kill('SIGKILL'));
      await new Promise(resolve => child.stdout.once('data', resolve));
      return `127.0.0.1:${port}`;
    },
    dockerfileRequest(repo, config = {}) {
      const fields = { repo_url: `${daemon.url}/${repo}`, stack: 'dockerfile', dockerfile_cfg: config };
      return request({ ...fields, static_cfg: undefined });
    },
    build: async (body, options) => (await start(body, options)).ended,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

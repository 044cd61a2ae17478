import { spawn } from 'node:child_process';
import { access, copyFile, mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { unixHttp } from '../callers/unix-http.ts';

/** A real Podman with its own storage, networks and namespaces, that this process holds by a pipe. */
export interface PodmanService extends AsyncDisposable {
  socketPath: string;
  /** A process in its network namespace, for `nsenter -t`: a loopback of its own, where a registry may listen. */
  netnsPid: number;
  /**
   * What stands before a program's arguments so that it runs in its network and on its mounts: as a unit's, its own are
   * not seen outside, and its /proc is that of the processes here.
   */
  beside: readonly string[];
  /** What such a program needs to use the same storage and registries. */
  environment: Record<string, string>;
  /** Builds the image `localhost/tiny`, Debian's static busybox that sleeps, unless it exists. Returns its name. */
  ensureTinyImage(): Promise<string>;
  /** Starts a container of that image on Podman's default network. Returns its id. */
  runTiny(name: string): Promise<string>;
  request: ReturnType<typeof unixHttp>['request'];
  /** Kills everything with SIGKILL, like a crash. The storage stays. */
  kill(): Promise<void>;
}

const script = fileURLToPath(new URL('podman-service.sh', import.meta.url));
const api = '/v4.0.0/libpod';
const tinyImage = 'localhost/tiny:latest';
/** Containers' cgroups lie here, apart from those of the machine's own Podman. */
const cgroupParent = '/coold-testbed';

/** Needs root, podman, crun, netavark, unshare. @throws Error with Podman's own words when it does not come up */
export async function startPodman(stateFolder: string): Promise<PodmanService> {
  await mkdir(stateFolder, { recursive: true, mode: 0o700 });
  const socketPath = join(stateFolder, 'podman.sock');
  await rm(socketPath, { force: true });
  await removeEmptyCgroups(); // of a Podman that was killed with its containers
  const environment = await writeConfiguration(stateFolder);
  const env = { ...process.env, ...environment };
  const namespaces = ['--mount', '--net', '--pid', '--fork', '--mount-proc', '--kill-child'];
  const child = spawn('unshare', [...namespaces, '--', 'sh', script, socketPath], {
    env,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-4096);
  });
  const exited = new Promise<void>(resolve => child.once('close', () => resolve()));
  child.once('error', error => {
    said += error.message;
  });
  const http = unixHttp(socketPath);
  try {
    await answering(http, exited, () => said);
  } catch (error) {
    child.kill('SIGKILL');
    await http[Symbol.asyncDispose]();
    throw error;
  }

  const expect = async (status: number[], request: Parameters<typeof http.request>[0]) => {
    const answer = await http.request(request);
    if (!status.includes(answer.status))
      throw new Error(`podman: ${request.path} answered ${answer.status}: ${answer.text}`);
    return answer;
  };
  const { pid: netnsPid } = child;
  if (netnsPid === undefined) throw new Error('podman has no process');
  const service: PodmanService = {
    socketPath,
    netnsPid,
    environment,
    beside: [
      ...['nsenter', '-t', String(netnsPid), '-n', '-m', '--', 'unshare', '--mount', '--'],
      ...['sh', '-c', 'mount -t proc proc /proc && exec "$@"', 'sh'],
    ],
    request: http.request,
    async ensureTinyImage() {
      const there = await expect([204, 404], {
        path: `${api}/images/${encodeURIComponent(tinyImage)}/exists`,
      });
      if (there.status === 204) return tinyImage;
      const body = await tinyContext(stateFolder);
      const path = `${api}/build?t=${encodeURIComponent(tinyImage)}`;
      const built = await expect([200], {
        method: 'POST',
        path,
        body,
        headers: { 'content-type': 'application/x-tar' },
      });
      if (built.text.includes('"error"')) throw new Error(`podman build failed: ${built.text.slice(-1000)}`);
      return tinyImage;
    },
    async runTiny(name) {
      const image = await service.ensureTinyImage();
      const json = { name, image, cgroup_parent: cgroupParent };
      const created = await expect([201], { method: 'POST', path: `${api}/containers/create`, json });
      const { Id: id } = created.json() as { Id: string };
      await expect([204, 304], { method: 'POST', path: `${api}/containers/${id}/start` });
      return id;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
      await http[Symbol.asyncDispose]();
      await removeEmptyCgroups();
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        // Removed one by one while it lives, so that their cgroups go too.
        const list = await http.request({ path: `${api}/containers/json?all=true` }).catch(() => undefined);
        for (const { Id } of (list?.json() ?? []) as { Id: string }[])
          await http
            .request({ method: 'DELETE', path: `${api}/containers/${Id}?force=true&timeout=0` })
            .catch(() => undefined);
      }
      child.stdin.end();
      child.kill('SIGKILL');
      await exited;
      await http[Symbol.asyncDispose]();
    },
  };
  return service;
}

/** Waits until the API answers. There is no event for a socket that another process creates, so it is polled. */
async function answering(
  http: ReturnType<typeof unixHttp>,
  exited: Promise<void>,
  said: () => string,
): Promise<void> {
  let gone = false;
  void exited.then(() => {
    gone = true;
  });
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; ) {
    if (gone) break;
    const pong = await http.request({ path: '/_ping', timeoutMs: 2000 }).catch(() => undefined);
    if (pong?.status === 200) return;
    await delay(20);
  }
  throw new Error(`podman did not come up: ${said().trim() || 'it said nothing'}`);
}

/** Removes unused cgroups. They outlive processes that are killed from outside; one that is in use cannot be removed. */
async function removeEmptyCgroups(): Promise<void> {
  const found = ['-depth', '-type', 'd', '-path', `*${cgroupParent}/*`];
  await runChild('find', ['/sys/fs/cgroup', ...found, '-exec', 'rmdir', '--', '{}', ';'], {
    timeoutMs: 60_000,
  });
}

/** Configuration of its own, so that nothing of the machine's is read or written. */
async function writeConfiguration(stateFolder: string): Promise<Record<string, string>> {
  const networks = join(stateFolder, 'networks');
  await mkdir(networks, { recursive: true });
  // Podman's default ulimits need CAP_SYS_RESOURCE, which a container may lack.
  const [nofile, nproc] = await Promise.all([hardLimit('--nofile'), hardLimit('--nproc')]);
  const containersConf = join(stateFolder, 'containers.conf');
  const lines = [
    '[containers]',
    `default_ulimits=["nofile=${nofile}:${nofile}","nproc=${nproc}:${nproc}"]`,
    'log_driver="k8s-file"',
    '[network]',
    'network_backend="netavark"',
    `network_config_dir=${JSON.stringify(networks)}`,
    '[engine]',
    'cgroup_manager="cgroupfs"',
    'events_logger="file"',
    'runtime="crun"',
  ];
  await writeFile(containersConf, `${lines.join('\n')}\n`);
  const storageConf = join(stateFolder, 'storage.conf');
  // The kernel refuses an overlay on an overlay.
  const overlayMagic = 0x794c7630;
  const driver = (await statfs(stateFolder)).type === overlayMagic ? 'vfs' : 'overlay';
  await writeFile(
    storageConf,
    `[storage]\ndriver="${driver}"\nrunroot="/run/containers/storage"\ngraphroot=${JSON.stringify(join(stateFolder, 'storage'))}\n`,
  );
  const registriesConf = join(stateFolder, 'registries.conf');
  // Podman's own loopback, where tests put their registries: no certificates there.
  await writeFile(registriesConf, '[[registry]]\nprefix="127.0.0.1"\nlocation="127.0.0.1"\ninsecure=true\n');
  return {
    CONTAINERS_CONF: containersConf,
    CONTAINERS_STORAGE_CONF: storageConf,
    CONTAINERS_REGISTRIES_CONF: registriesConf,
    // There is no systemd for the timers of healthchecks.
    DISABLE_HC_SYSTEMD: 'true',
  };
}

async function hardLimit(resource: '--nofile' | '--nproc'): Promise<number> {
  const { stdout } = await runChild('prlimit', ['--raw', '--noheadings', '--output', 'HARD', resource], {
    timeoutMs: 5000,
  });
  const limit = Number.parseInt(stdout, 10);
  return Number.isNaN(limit) ? 1_048_576 : Math.min(limit, 1_048_576);
}

async function tinyContext(stateFolder: string): Promise<Buffer> {
  const folder = join(stateFolder, 'tiny');
  const archive = join(stateFolder, 'tiny.tar');
  await mkdir(folder, { recursive: true });
  await access('/bin/busybox').catch(() => {
    throw new Error('/bin/busybox is missing: install busybox-static');
  });
  await copyFile('/bin/busybox', join(folder, 'busybox'));
  await writeFile(
    join(folder, 'Containerfile'),
    'FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT ["/bin/busybox"]\nCMD ["sleep", "3600"]\n',
  );
  await writeFile(join(folder, 'Dockerfile'), await readFile(join(folder, 'Containerfile')));
  const packed = await runChild('tar', ['-C', folder, '-cf', archive, '.'], { timeoutMs: 20_000 });
  if (packed.code !== 0) throw new Error(`tar failed: ${packed.stderr}`);
  return readFile(archive);
}

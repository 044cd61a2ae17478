// How builds end before they are done: cancelled, killed, without room.

import { readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGround, type Ground, logged } from '../test/ground.ts';
import { type Running, startBuilder } from '../test/start-builder.ts';

let ground: Ground;
/** Answers nothing on any connection. */
let hanging: string;

beforeAll(async () => {
  ground = await createGround();
  hanging = await ground.startHanging();
  await ground.largeRepository('large', 5000, 50_000_000);
}, 120_000);

afterAll(() => ground[Symbol.asyncDispose](), 60_000);

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
    [
      'while git waits for its server',
      () => ground.request({ repo_url: `git://${hanging}/site` }),
      'fetching',
    ],
    [
      'while many files are checked out',
      () => ground.request({ repo_url: `${ground.daemon.url}/large` }),
      'checking out',
    ],
    [
      'while the base image is pulled',
      () => ground.request({ static_cfg: { base_image: `${hanging}/base:1` } }),
      'looking up',
    ],
    ['while files are copied', () => ground.request({ repo_url: `${ground.daemon.url}/large` }), 'COPY'],
    [
      'while the image is written',
      () => ground.request({ repo_url: `${ground.daemon.url}/large` }),
      'COMMIT',
    ],
    ['while a step runs', () => ground.dockerfileRequest('sleeping'), 'asleep'],
  ];

  it.each(stages)(
    '%s ends it with all it started',
    async (_when, body, log) => {
      const running = await ground.start(body());
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
      expect(await ground.workingContainers()).toBe('');
      expect(await ground.build(ground.request())).toMatchObject({ code: 0 });
    },
    120_000,
  );

  it('that its tools get as well, and first, is a cancel and not their failure', async () => {
    const running = await ground.start(ground.request({ repo_url: `git://${hanging}/site` }));
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

describe('a builder that is killed', () => {
  it.each([
    ['git', () => ground.request({ repo_url: `${ground.daemon.url}/large` }), 'checking out'],
    ['buildah', () => ground.request({ repo_url: `${ground.daemon.url}/large` }), 'COMMIT'],
  ] as [string, () => object, string][])(
    'in %s leaves whole lines, no outcome, and a folder that can be built in again',
    async (_stage, body, log) => {
      const running = await ground.start(body());
      await running.frame(logged(log));
      running.process.kill('SIGKILL');
      const ended = await running.ended;
      // A git that is left writes on, and the next builder could not empty the folder.
      await killAll(running);
      expect(ended).toMatchObject({ code: null, signal: 'SIGKILL', result: undefined, error: undefined });
      expect(ended.events.length).toBeGreaterThan(0);
      const again = await startBuilder(ground.podman, {
        workDir: running.workDir,
        request: ground.request(),
      });
      expect(await again.ended).toMatchObject({ code: 0, files: expect.not.arrayContaining(['scratch']) });
    },
    120_000,
  );
});

describe('working containers', () => {
  it.each([true, false])(
    'of a build that was killed are removed by the next one, whether its folder exists: %s',
    async isThere => {
      const killed = await ground.start(ground.dockerfileRequest('sleeping'));
      await killed.frame(logged('asleep'));
      await killAll(killed);
      expect(await ground.workingContainers()).not.toBe('');
      if (!isThere) await rm(killed.workDir, { recursive: true });
      const before = await readdir(ground.folder);
      const after = await ground.build(ground.request());
      expect(after).toMatchObject({ code: 0 });
      expect(await ground.workingContainers()).toBe('');
      expect(after.events.some(logged('cannot remove everything that earlier builds left'))).toBe(false);
      // In a unit it could not: other builds' folders are read-only there.
      expect(await readdir(ground.folder), 'nothing but a folder of its own').toHaveLength(before.length + 1);
    },
    120_000,
  );

  it('of a build that runs stay, and so do those of somebody else', async () => {
    const foreign = await ground.inside('buildah from scratch >/dev/null; buildah containers -q');
    const running = await ground.start(ground.dockerfileRequest('sleeping'));
    await running.frame(logged('asleep'));
    const before = await ground.workingContainers();
    expect(before.split('\n')).toHaveLength(2);
    expect(await ground.build(ground.request())).toMatchObject({ code: 0 });
    expect(await ground.workingContainers()).toBe(before);
    running.process.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 130 });
    expect(await ground.workingContainers()).toBe(foreign);
    await ground.inside(`buildah rm ${foreign}`);
  }, 120_000);
});

describe('a full disk', () => {
  /** A work folder on a disk of its own, seen from within Podman's mounts and from here. */
  async function disk(size: string): Promise<{ path: string; view: string }> {
    const path = ground.newWorkFolder();
    await ground.inMounts(`mkdir -m 700 ${path} && mount -t tmpfs -o size=${size} disk ${path}`);
    return { path, view: `/proc/${ground.podman.netnsPid}/root${path}` };
  }

  it('that the repository fills is an error on disk', async () => {
    const { path, view } = await disk('4m');
    const body = ground.request({ repo_url: `${ground.daemon.url}/large` });
    const ended = await (await ground.start(body, { workDir: view, args: [`${path}/request.json`, path] }))
      .ended;
    expect(ended).toMatchObject({ code: 1, result: undefined, error: { code: 507 } });
    expect(ended.files.sort()).toEqual(['error.json', 'events.ndjson', 'request.json']);
  }, 60_000);

  it('on which nothing fits is exit 2, and no part of a file', async () => {
    const { path, view } = await disk('64k');
    await writeFile(join(view, 'request.json'), JSON.stringify(ground.request()));
    await ground.inMounts(`cat /dev/zero >${path}/filler 2>/dev/null || true`);
    const args = [`${path}/request.json`, path];
    const ended = await (await ground.start(undefined, { workDir: view, args })).ended;
    expect(ended).toMatchObject({ code: 2, result: undefined, error: undefined, events: [] });
    expect(ended.stderr).toMatch(/^builder: .*ENOSPC/);
    expect(ended.files.sort()).toEqual(['events.ndjson', 'filler', 'request.json']);
  });
});

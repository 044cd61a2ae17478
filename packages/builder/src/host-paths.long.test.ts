// What a build can name, and what root would do for it outside of its work folder and the image it builds: nothing.
import { createHash } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busybox, createGround, type Ground } from '../test/ground.ts';

let ground: Ground;
/** A folder of the host that no build has to do with. */
let host: string;

beforeAll(async () => {
  ground = await createGround();
  host = join(ground.folder, 'host-files');
  await mkdir(join(host, 'closed'), { recursive: true });
  await writeFile(join(host, 'word'), 'of the host\n', { mode: 0o600 });
  await writeFile(join(host, 'closed/word'), 'of the host\n', { mode: 0o600 });
  await ground.inside(`cd ${host} && tar cf archive.tar word`);
}, 120_000);

afterAll(() => ground[Symbol.asyncDispose](), 60_000);

/** Everything there, with modes, owners, times of change and contents. */
async function snapshot(): Promise<string[]> {
  const names = (await readdir(host, { recursive: true })).sort();
  return Promise.all(
    ['', ...names].map(async name => {
      const path = join(host, name);
      const { mode, uid, gid, ctimeMs, size } = await lstat(path);
      const content =
        (mode & 0o170000) === 0o100000
          ? createHash('md5')
              .update(await readFile(path))
              .digest('hex')
          : '';
      return `${name} ${mode.toString(8)} ${uid}:${gid} ${ctimeMs} ${size} ${content}`;
    }),
  );
}

/** Files of a repository; HOST stands for the folder, BASE for a base image, SH(…) for a step of a shell. */
interface Attack {
  what: string;
  dockerfile: string;
  symlinks?: Record<string, string>;
  config?: object;
  fields?: object;
}

const cache = (more = '') => `RUN --mount=type=cache,id=a,target=/c${more} `;
const cached = (script: string, more = '') => busybox(script).replace('RUN ', cache(more));

const attacks: Attack[] = [
  {
    what: 'the lock file of a cache, as a symlink that an earlier step put there',
    dockerfile: `FROM BASE\n${cached('/bin/busybox ln -s HOST/created /c/buildah-cache-lockfile')}${cached('true', ',sharing=locked')}`,
  },
  {
    what: 'the lock file of a cache, as a hard link or a named pipe',
    dockerfile: `FROM BASE\n${cached('/bin/busybox mkfifo /c/buildah-cache-lockfile')}${cached('true', ',sharing=locked')}`,
  },
  {
    what: 'a cache whose id is that of another, and a symlink in it',
    dockerfile: `FROM BASE\n${cached('/bin/busybox ln -s HOST /c/b')}RUN --mount=type=cache,id=a/b,target=/d ["/bin/busybox","touch","/d/created"]\n`,
  },
  {
    what: 'the target of a cache through a symlink in the image',
    dockerfile: `FROM BASE\n${busybox('/bin/busybox ln -s HOST /link')}RUN --mount=type=cache,id=b,target=/link ["/bin/busybox","touch","/link/created"]\n`,
  },
  {
    what: 'the target of a tmpfs through a symlink in the image',
    dockerfile: `FROM BASE\n${busybox('/bin/busybox ln -s HOST /link')}RUN --mount=type=tmpfs,target=/link/made ["/bin/busybox","true"]\n`,
  },
  {
    what: 'a bind mount of a symlink in the repository',
    dockerfile:
      'FROM BASE\nRUN --mount=type=bind,source=link,target=/m,rw=true ["/bin/busybox","touch","/m/created"]\n',
    symlinks: { link: 'HOST' },
  },
  {
    what: 'COPY to a symlink in the image',
    dockerfile: `FROM BASE\n${busybox('/bin/busybox ln -s HOST /link')}COPY app.txt /link/created\n`,
  },
  {
    what: 'COPY with a new owner over a symlink in the image',
    dockerfile: `FROM BASE\n${busybox('/bin/busybox ln -s HOST/word /word')}COPY --chown=1000:1000 app.txt /word\n`,
  },
  {
    what: 'COPY of a symlink in the repository',
    dockerfile: 'FROM BASE\nCOPY link/word /taken\nRUN ["/bin/busybox","cat","/taken"]\n',
    symlinks: { link: 'HOST' },
  },
  {
    what: 'COPY of a symlink out of another stage',
    dockerfile: `FROM BASE AS a\n${busybox('/bin/busybox ln -s HOST /link')}FROM BASE\nCOPY --from=a /link/word /taken\nRUN ["/bin/busybox","cat","/taken"]\n`,
  },
  {
    what: 'COPY of a path that climbs out of the repository',
    dockerfile:
      'FROM BASE\nCOPY ../../../../../../../..HOST/word /taken\nRUN ["/bin/busybox","cat","/taken"]\n',
  },
  {
    what: 'WORKDIR through a symlink in the image',
    dockerfile: `FROM BASE\n${busybox('/bin/busybox ln -s HOST /link')}WORKDIR /link/created\n${busybox('true')}`,
  },
  {
    what: 'VOLUME through a symlink in the image',
    dockerfile: `FROM BASE\n${busybox('/bin/busybox ln -s HOST /link')}VOLUME /link/created\n${busybox('true')}`,
  },
  {
    what: 'VOLUME through a symlink in the stage that another is built on',
    dockerfile: `FROM BASE AS a\n${busybox('/bin/busybox ln -s HOST /link')}VOLUME /link/created\nFROM a\n${busybox('echo x >/link/created/y; true')}`,
  },
  {
    what: 'VOLUME through a symlink, as a stage asks those that are built on it (ONBUILD)',
    dockerfile: `FROM BASE AS a\n${busybox('/bin/busybox ln -s HOST /link')}ONBUILD VOLUME /link/created\nFROM a\n${busybox('echo x >/link/created/y; true')}`,
  },
  {
    what: 'the lock file of a cache, as a stage asks those that are built on it (ONBUILD)',
    dockerfile: `FROM BASE AS a\n${cached('/bin/busybox ln -s HOST/created /c/buildah-cache-lockfile')}ONBUILD ${cached('true', ',sharing=locked')}FROM a\n${busybox('true')}`,
  },
  {
    what: 'ADD of an archive that leads out by a symlink and by dots',
    dockerfile: `FROM BASE AS a\n${busybox('cd /tmp || cd /; /bin/busybox mkdir x; cd x; /bin/busybox ln -s HOST l; /bin/busybox tar cf /e.tar l; /bin/busybox rm l; /bin/busybox mkdir l; echo y >l/created; /bin/busybox tar rf /e.tar l/created 2>/dev/null || /bin/busybox tar cf /e.tar l')}FROM BASE\nCOPY --from=a /e.tar /e.tar\nADD evil.tar /\n`,
  },
  { what: 'an archive of the host as an image', dockerfile: 'FROM docker-archive:HOST/archive.tar\n' },
  {
    what: 'an image by a build argument with a transport',
    dockerfile: 'ARG I\nFROM $I\n',
    config: { build_args: { I: 'oci-archive:HOST/archive.tar' } },
  },
  {
    what: 'the passwd file of the image as a symlink, with USER by name',
    dockerfile: `FROM BASE\n${busybox('/bin/busybox mkdir -p /etc; /bin/busybox ln -sf HOST/word /etc/passwd; /bin/busybox ln -sf HOST/word /etc/group')}USER of\n${busybox('true')}`,
  },
  {
    what: 'the files that a container gets from its engine as symlinks',
    dockerfile: `FROM BASE\n${busybox('/bin/busybox mkdir -p /etc /run; for f in resolv.conf hosts hostname; do /bin/busybox rm -f /etc/$f; /bin/busybox ln -s HOST/created /etc/$f; done; /bin/busybox ln -sf HOST/created /run/.containerenv')}${busybox('echo x >/etc/hosts; true')}`,
  },
  {
    what: 'a Dockerfile that is a symlink to the host',
    dockerfile: 'FROM BASE\n',
    symlinks: { other: 'HOST/word' },
    config: { dockerfile: 'other' },
  },
  {
    what: 'an ignore file that is a symlink to the host',
    dockerfile: 'FROM BASE\nCOPY app.txt /\n',
    symlinks: { '.dockerignore': 'HOST/word' },
  },
  {
    what: 'a device of the disk and a setuid file, made by a step',
    dockerfile: `FROM BASE\n${busybox('/bin/busybox mknod /disk b 8 0 || echo refused; /bin/busybox cp /bin/busybox /su; /bin/busybox chmod 4755 /su')}COPY app.txt /\n`,
  },
  {
    what: 'the temporary folder of another name as a build argument',
    dockerfile:
      'FROM BASE\nARG TMPDIR\nRUN --mount=type=cache,id=a,target=/c ["/bin/busybox","touch","/c/created"]\n',
    config: { build_args: { TMPDIR: 'HOST' } },
  },
  {
    what: 'the folder of a cache by its key',
    dockerfile: 'FROM BASE\nCOPY app.txt /\n',
    fields: { cache_key: '../../HOST' },
  },
];

describe('root touches nothing of the host for', () => {
  it.each(attacks.map((attack, at) => ({ ...attack, at })))(
    '$what',
    async ({ dockerfile, symlinks = {}, config = {}, fields = {}, at }) => {
      const filled = (text: string) => text.replaceAll('HOST', host).replaceAll('BASE', ground.base);
      const links = Object.entries(symlinks).map(([name, to]) => [name, { symlink: filled(to) }] as const);
      await ground.repository(`attack-${at}`, {
        Dockerfile: filled(dockerfile),
        'app.txt': 'app\n',
        'evil.tar': 'no archive\n',
        ...Object.fromEntries(links),
      });
      const before = await snapshot();
      const request = ground.dockerfileRequest(`attack-${at}`, JSON.parse(filled(JSON.stringify(config))));
      const ended = await ground.build({ ...request, ...JSON.parse(filled(JSON.stringify(fields))) });
      expect(await snapshot()).toEqual(before);
      expect(JSON.stringify(ended.events)).not.toContain('of the host');
      // Refused, or built without it: either way the builder says how it ended.
      expect([0, 1, 2]).toContain(ended.code);
      expect(ended.result ?? ended.error).toBeDefined();
    },
    60_000,
  );
});

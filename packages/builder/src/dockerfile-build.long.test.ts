// Builds of the repository's own Dockerfile, whose steps and base images run in containers.

import { createHash } from 'node:crypto';
import { access, appendFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busybox, createGround, type Ground, logged } from '../test/ground.ts';

let ground: Ground;

beforeAll(async () => {
  ground = await createGround();
}, 120_000);

afterAll(() => ground[Symbol.asyncDispose](), 60_000);

describe('a Dockerfile', () => {
  it('is built with its arguments up to its target, and what it ignores is not there', async () => {
    await ground.repository('docker', {
      'docker/web.in': `FROM ${ground.base} AS first\nARG GREETING\nARG OTHER=none\nCOPY . /src/\n${busybox(
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
    const ended = await ground.build({ ...ground.dockerfileRequest('docker', config), cache_key: 'web' });
    expect(ended).toMatchObject({ code: 0, result: { stack_used: 'dockerfile' } });
    expect(await ground.listing('localhost/built:1', '/src')).toContain('f 644 app.txt');
    expect(await ground.listing('localhost/built:1', '/src')).not.toContain('f 644 secret.txt');
    const greeting = await ground.inImage('localhost/built:1', 'cat "$d/greeting"');
    expect(greeting).toBe('a=b "c"\n$(id), none');
  });

  it('shows no value of a build argument in the list of processes', async () => {
    await ground.repository('secret-argument', {
      Dockerfile: `FROM ${ground.base}\nARG API_KEY\nARG EMPTY=x\n${busybox('[ "$API_KEY" = "s3cret value" ] && [ -z "$EMPTY" ] && echo it is there; /bin/busybox sleep 987653')}`,
    });
    const config = { build_args: { API_KEY: 's3cret value', EMPTY: '' } };
    const running = await ground.start(ground.dockerfileRequest('secret-argument', config));
    await running.frame(logged('it is there'));
    const shown = await ground.inside('ps -e -ww -o args');
    expect(shown).toContain('--build-arg=API_KEY');
    expect(shown).not.toContain('s3cret');
    running.process.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 130 });
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
    await ground.repository('probe', { Containerfile: `FROM ${ground.base}\n${busybox(probe)}` });
    const ended = await ground.build(ground.dockerfileRequest('probe'));
    expect(ended).toMatchObject({ code: 0 });
    const log = ended.events.map(frame => (frame.type === 'progress' ? frame.log : '')).join('\n');
    expect(log).toContain('devices: 0 0');
    expect(log).toContain('cgroups: 0');
    for (const what of ['core_pattern', 'mount', 'mknod']) expect(log).toContain(`\n${what}: refused`);
    expect(Number(/^processes: (\d+)$/m.exec(log)?.[1])).toBeLessThan(8);
  });

  it.each([
    ['FROM tarball:FOLDER/x.tar\n', 'stack'],
    ['FROM BASE\nCOPY --from=tarball:FOLDER/x.tar /f /f\nRUN ["/bin/busybox","cat","/f"]\n', 'stack'],
    ['FROM docker-archive:FOLDER/x.tar\n', 'stack'],
    ['FROM BASE\nRUN --mount=type=bind,source=link,target=/p ["/bin/busybox","cat","/p/f"]\n', 'stack'],
    [
      'FROM BASE\nRUN --mount=type=cache,id=../../../../..FOLDER,target=/p ["/bin/busybox","cat","/p/f"]\n',
      'stack',
    ],
    // buildah ends a flag at single-byte spaces alone, and reads on after any other.
    [
      'FROM BASE\nRUN --mount=type=cache,id=a,target=/c\u3000x --mount=type=bind,source=link,target=/p,rw=true ["/bin/busybox","cat","/p/f"]\n',
      'stack',
    ],
    [
      'FROM BASE\nONBUILD RUN --mount=type=cache,id=a,target=/c\u2028x --mount=type=bind,source=link,target=/p ["/bin/busybox","cat","/p/f"]\n',
      'stack',
    ],
    ['FROM BASE\nCOPY link/f /f\nRUN ["/bin/busybox","cat","/f"]\n', ''],
    [
      `FROM BASE\n${busybox('/bin/busybox mkdir -p /a/host')}VOLUME /a/host\n${busybox('/bin/busybox mv /a /b; /bin/busybox ln -s FOLDER/.. /a')}RUN ["/bin/busybox","cat","/a/host/f"]\n`,
      '',
    ],
    ['FROM BASE\nADD file://FOLDER/f /f\nRUN ["/bin/busybox","cat","/f"]\n', ''],
  ])('gets no file of the host: %j', async (containerfile, stage) => {
    const host = join(ground.folder, 'host');
    await mkdir(host, { recursive: true });
    await writeFile(join(host, 'f'), 'of the host\n');
    await ground.inside(`tar -C ${host} -cf ${host}/x.tar f`);
    await rm(join(ground.folder, 'git/greedy'), { recursive: true, force: true });
    await ground.repository('greedy', {
      Dockerfile: containerfile.replaceAll('FOLDER', host).replaceAll('BASE', ground.base),
      link: { symlink: host },
    });
    const ended = await ground.build(ground.dockerfileRequest('greedy'));
    expect(ended).toMatchObject({ code: 1, error: { code: expect.any(Number), stage: stage || 'buildah' } });
    expect(JSON.stringify(ended.events)).not.toContain('of the host');
  });

  it.each([
    'COPY --from=containers-storage:[vfs@STORE/g+STORE/r]localhost/x:1 /f /f',
    'ARG S=containers-storage\nCOPY --from=$S:[vfs@STORE/g+STORE/r]localhost/x:1 /f /f',
    'COPY --chown=1\u2003x --from=containers-storage:[vfs@STORE/g+STORE/r]localhost/x:1 /f /f',
    // Any flag of a COPY with this in it is one to buildah.
    'COPY --chown=containers-storage:[vfs@STORE/g+STORE/r]localhost/x--from /f /f',
  ])("does not have a store of images opened that is not the host's own: %j", async lines => {
    const store = join(ground.folder, 'foreign');
    await rm(join(ground.folder, 'git/opening'), { recursive: true, force: true });
    await ground.repository('opening', {
      Dockerfile: `FROM ${ground.base}\n${lines.replaceAll('STORE', store)}\n`,
    });
    const ended = await ground.build(ground.dockerfileRequest('opening'));
    // Opening one makes it, and removes what its own lists call unfinished: any folder, by a symlink.
    await expect(access(store)).rejects.toThrow('ENOENT');
    expect(ended).toMatchObject({ code: 1, error: { code: 422, stage: 'stack' } });
  });

  it('whose base image was made to ask for a file of the host does not get it', async () => {
    const host = join(ground.folder, 'onbuild');
    await mkdir(host, { recursive: true });
    await writeFile(join(host, 'f'), 'of the host\n');
    await ground.inside(
      `tar -C ${host} -cf ${host}/x.tar f && printf 'FROM ${ground.base}\\nONBUILD COPY --from=tarball:${host}/x.tar /f /f\\n' | buildah bud --format=docker --isolation=chroot -t localhost/onbuild:1 -f - ${host}`,
    );
    await ground.repository('onbuild', {
      Dockerfile: 'FROM localhost/onbuild:1\nRUN ["/bin/busybox","cat","/f"]\n',
    });
    const request = { ...ground.dockerfileRequest('onbuild'), base_images: ['localhost/onbuild:1'] };
    expect(await ground.build(request)).toMatchObject({ code: 1, error: { code: 422, stage: 'stack' } });
  });

  it('is rendered: what it copies from, its here-documents and caches mean what they meant', async () => {
    await ground.inside(
      `podman tag localhost/tiny:latest ${ground.base}-beside && podman push -q ${ground.base}-beside && podman rmi ${ground.base}-beside`,
    );
    const steps = [
      ...[
        `FROM ${ground.base} AS First`,
        'SHELL ["/bin/busybox", "sh", "-ec"]',
        'RUN <<EOF',
        "echo 'a  b' >/a",
        '# FROM x',
        'EOF',
      ],
      ...["RUN /bin/busybox cat <<-'E' >/b && \\", '  echo "日本　語" >>/b', '\t$A', '\tE'],
      ...[
        'RUN --mount=type=cache,target=/c,uid=7 ["/bin/busybox", "sh", "-c", "/bin/busybox stat -c %u /c >/c-is"]',
      ],
      ...[
        `from\t${ground.base}`,
        'copy --from=0  --link /a /b /',
        `COPY --from=${ground.base}-beside /bin/busybox /beside`,
      ],
      ...[
        'COPY --from=First \\',
        '# between',
        '  ["/c-is", "/c is"]',
        'ENV A b  c',
        'LABEL a=\'b "c\' d="e\u3000"',
      ],
    ];
    await ground.repository('rendered', { Dockerfile: `\ufeff${steps.join('\r\n')}\r\n` });
    const ended = await ground.build(ground.dockerfileRequest('rendered'));
    expect(ended, JSON.stringify(ended.error)).toMatchObject({ code: 0 });
    const shown = await ground.inImage(
      'localhost/built:1',
      'cat "$d/a" "$d/b" "$d/c is"; ls "$d/beside" | wc -l',
    );
    expect(shown).toBe('a  b\n$A\n日本　語\n7\n1');
    const config = await ground.inside("podman image inspect --format '{{json .Config}}' localhost/built:1");
    expect(JSON.parse(config)).toMatchObject({
      Env: expect.arrayContaining(['A=b  c']),
      Labels: { a: 'b "c', d: 'e\u3000' },
    });
  });

  it('means docker.io by a short name, as a static build does', async () => {
    const { address } = ground.registry;
    // What docker.io has in this test.
    const mapping = `[[registry]]\nprefix="docker.io"\nlocation="${address}"\ninsecure=true\n`;
    await appendFile(ground.podman.environment['CONTAINERS_REGISTRIES_CONF'] ?? '', mapping);
    for (const name of ['library/short:1', 'someone/short:1'])
      await ground.inside(
        `podman tag localhost/tiny:latest ${address}/${name} && podman push -q ${address}/${name} && podman rmi ${address}/${name}`,
      );
    const lines = 'FROM short:1 AS a\nFROM someone/short:1\nCOPY --from=short:1 /bin/busybox /b\n';
    await ground.repository('short', { Dockerfile: lines });
    const ended = await ground.build(ground.dockerfileRequest('short'));
    expect(ended, JSON.stringify(ended.error)).toMatchObject({ code: 0 });
    for (const name of ['library/short:1', 'someone/short:1'])
      expect(ended.events.some(logged(`base image docker.io/${name} is `))).toBe(true);
    const request = ground.request({ static_cfg: { base_image: 'short:1' } });
    const served = await ground.build(request);
    expect(served).toMatchObject({ code: 0 });
    expect(served.events.some(logged('base image docker.io/library/short:1 is '))).toBe(true);
  });

  it('has its volumes, in a stage and in what is built on that, and what its steps wrote there', async () => {
    const steps = `VOLUME /v\n${busybox('/bin/busybox mkdir /v; echo first >/v/a')}FROM first\n${busybox('echo second >/b')}VOLUME /w\n`;
    await ground.repository('volumes', { Dockerfile: `FROM ${ground.base} AS first\n${steps}` });
    expect(await ground.build(ground.dockerfileRequest('volumes'))).toMatchObject({ code: 0 });
    const shown = "podman image inspect --format '{{json .Config.Volumes}}' localhost/built:1";
    expect(JSON.parse(await ground.inside(shown))).toEqual({ '/v': {}, '/w': {} });
    expect(await ground.inImage('localhost/built:1', 'cat "$d/v/a" "$d/b"')).toBe('first\nsecond');
  });

  it('whose step fails is an error that names it, with what the step said in the log', async () => {
    await ground.repository('failing', {
      Dockerfile: `FROM ${ground.base}\n${busybox('echo so it goes >&2; exit 7')}`,
    });
    const ended = await ground.build(ground.dockerfileRequest('failing'));
    expect(ended).toMatchObject({ code: 1, error: { code: 422, stage: 'buildah' } });
    expect(ended.error?.message).toMatch(/RUN .*exit status 7/);
    expect(ended.events.some(logged('so it goes'))).toBe(true);
    expect(await ground.workingContainers()).toBe('');
  });
});

describe('a base image that asks its builds for something (ONBUILD)', () => {
  const link =
    'RUN --mount=type=bind,from=localhost/linked:1,source=/host,target=/p ["/bin/busybox","cat","/p/f"]';
  let host: string;

  beforeAll(async () => {
    host = join(ground.folder, 'asked');
    await mkdir(host);
    await writeFile(join(host, 'f'), 'of the host\n');
    await mkdir(join(host, 'tree'));
    await symlink(host, join(host, 'tree/host'));
    await image('linked', 'docker', 'COPY tree /');
    await image('asking', 'docker', `ONBUILD ${link}`);
    await image(
      'fair',
      'docker',
      'ONBUILD COPY app.txt /app.txt\nONBUILD RUN ["/bin/busybox","cat","/app.txt"]',
    );
  }, 60_000);

  /** An image in the host's storage that is `base` and what is said here. */
  async function image(name: string, format: 'docker' | 'oci', lines: string): Promise<void> {
    const file = join(host, name);
    await writeFile(file, `FROM ${ground.base}\n${lines}\n`);
    await ground.inside(
      `buildah bud --isolation=chroot --format=${format} -t localhost/${name}:1 -f ${file} ${host}`,
    );
  }

  let repositories = 0;
  async function buildOf(dockerfile: string, config: object = {}) {
    repositories += 1;
    const name = `asked-${repositories}`;
    await ground.repository(name, { Dockerfile: dockerfile, 'app.txt': 'so be it\n' });
    const permitted = ['asking', 'fair', 'filled', 'crafted'].map(image => `localhost/${image}:1`);
    return ground.build({ ...ground.dockerfileRequest(name, config), base_images: permitted });
  }

  const refused = (name: string) => ({
    code: 1,
    error: {
      code: 422,
      stage: 'stack',
      message: expect.stringMatching(`^base image ${name}: ONBUILD RUN "--mount=type=bind,`),
    },
  });

  it.each([
    ['FROM localhost/asking:1\n', {}],
    ['FROM scratch AS a\nFROM \\\n  localhost/asking:1 AS b\nFROM a\n', {}],
    ['ARG NAME=fair\nFROM localhost/$NAME:1\n', { build_args: { NAME: 'asking' } }],
    ['FROM localhost/asking:1 AS a\nFROM scratch\n', { target: 'a' }],
  ])('does not get what a Dockerfile may not have, and is named: %j', async (dockerfile, config) => {
    const ended = await buildOf(dockerfile, config);
    expect(ended).toMatchObject(refused('localhost/asking:1'));
    expect(JSON.stringify(ended.events)).not.toContain('of the host');
  });

  it('gets no volume, for which a step could put a folder of the host', async () => {
    await image('filled', 'docker', 'ONBUILD VOLUME /v');
    const message = expect.stringMatching(/^base image localhost\/filled:1: ONBUILD "VOLUME \/v": /);
    expect(await buildOf('FROM localhost/filled:1\n')).toMatchObject({
      code: 1,
      error: { code: 422, stage: 'stack', message },
    });
  });

  it('is heard where it asks for nothing but that', async () => {
    const ended = await buildOf('FROM localhost/fair:1\nRUN ["/bin/busybox","cat","/app.txt"]\n');
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.events.filter(logged('so be it'))).toHaveLength(2);
  });

  it('is not asked where files are only copied from it', async () => {
    const ended = await buildOf(`FROM ${ground.base}\nCOPY --from=localhost/asking:1 /bin/busybox /b\n`);
    expect(ended).toMatchObject({ code: 0 });
    expect(JSON.stringify(ended.events)).not.toContain('of the host');
  });

  it('is used by its id, so it is the image that was checked', async () => {
    const ended = await buildOf(`FROM ${ground.base} AS a\nFROM a\nCOPY app.txt /\n`);
    const id = await ground.inside(`podman image inspect --format '{{.Id}}' ${ground.base}`);
    expect(ended.events.some(logged(`FROM ${id}`))).toBe(true);
    const shown = (image: string) =>
      ground.inside(
        `podman image inspect --format '{{.ManifestType}} {{json .Annotations}} {{json .Labels}}' ${image}`,
      );
    // No label and no annotation that its Dockerfile does not have.
    expect(await shown('localhost/built:1')).toMatch(
      /^application\/vnd\.docker\.distribution\.manifest\.v2\+json \{\}/,
    );
    const labels = async (image: string) => (await shown(image)).split(' ').at(-1);
    expect(await labels('localhost/built:1')).toBe(await labels(ground.base));
  });

  // Formats other than Docker's have no such field, but an image may still hold one.
  it.each([
    ['OnBuild', 'layout-1', ['LABEL c=d\n# \u2028', `LABEL e=f \\\n g=h\n${link}`]],
    ['onbuild', 'layout-2', ['LABEL c=d\n# \u2028', `LABEL e=f \\\n g=h\n${link}`]],
    ['OnBuild', 'layout-3', ['RUN \\', link.replace('RUN ', '')]],
  ])('in a format without triggers, as %s, has no effect: %s', async (key, name, triggers) => {
    await image('crafted', 'oci', 'LABEL a=b');
    const layout = join(host, name);
    await ground.inside(
      `buildah push localhost/crafted:1 oci:${layout}:x && buildah rmi localhost/crafted:1`,
    );
    await withTriggers(layout, key, triggers);
    await ground.inside(`buildah tag $(cd ${host} && buildah pull -q oci:${name}:x) localhost/crafted:1`);
    const ended = await buildOf('FROM localhost/crafted:1\nRUN ["/bin/busybox","true"]\n');
    expect(JSON.stringify(ended.events)).not.toContain('of the host');
    expect(ended).toMatchObject(refused('localhost/crafted:1'));
  });

  /** Puts triggers into the configuration of the only image of an OCI layout. */
  async function withTriggers(layout: string, key: string, triggers: string[]): Promise<void> {
    const blob = (digest: string) => join(layout, 'blobs/sha256', digest.replace('sha256:', ''));
    const read = async (path: string) => JSON.parse(await readFile(path, 'utf8'));
    const write = async (value: unknown) => {
      const text = JSON.stringify(value);
      const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
      await writeFile(blob(digest), text);
      return { digest, size: Buffer.byteLength(text) };
    };
    const index = await read(join(layout, 'index.json'));
    const manifest = await read(blob(index.manifests[0].digest));
    const config = await read(blob(manifest.config.digest));
    config.config[key] = triggers;
    Object.assign(manifest.config, await write(config));
    Object.assign(index.manifests[0], await write(manifest));
    await writeFile(join(layout, 'index.json'), JSON.stringify(index));
  }
});

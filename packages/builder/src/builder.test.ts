// The builder as coold starts it, against real git, buildah, storage and a real registry.
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busybox, createGround, type Ground, logged } from '../test/ground.ts';
import { outcomeOf, startBuilder } from '../test/start-builder.ts';

let ground: Ground;

beforeAll(async () => {
  ground = await createGround();
  await ground.repository('loud', {
    Dockerfile: `FROM ${ground.base}\n${busybox('/bin/busybox yes 0123456789 | /bin/busybox head -n 1500000')}`,
  });
}, 120_000);

afterAll(() => ground[Symbol.asyncDispose](), 60_000);

describe('a static site', () => {
  it('becomes the image that Podman knows by its digest', async () => {
    const running = await ground.start(ground.request());
    const ended = await running.ended;
    const digest = await ground.inside(`podman image inspect --format '{{.Digest}}' localhost/built:1`);
    const tiny = await ground.podman.ensureTinyImage();
    const baseDigest = await ground.inside(`podman image inspect --format '{{.Digest}}' ${tiny}`);
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
    expect(await ground.listing('localhost/built:1', '/usr/share/nginx/html')).toEqual([
      'd 755 sub',
      'f 644 index.html',
      'f 644 sub/page.html',
    ]);
    expect(await ground.inImage('localhost/built:1', 'stat -c %a "$d/usr/share/nginx/html"')).toBe('755');
  });

  it('is built in the same way again, and from a base image that is only here', async () => {
    const tiny = await ground.podman.ensureTinyImage();
    const request = ground.request({ static_cfg: { base_image: tiny }, base_images: [tiny] });
    expect(await ground.build(request)).toMatchObject({ code: 0 });
  });

  it('holds what its folder holds, with nothing left out, followed or run', async () => {
    const marker = join(ground.folder, 'ran');
    await ground.repository('tricks', {
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
    const ended = await ground.build(
      ground.request({ repo_url: `${ground.daemon.url}/tricks`, target_image: 'localhost/tricks:1' }),
    );
    expect(ended).toMatchObject({ code: 0 });
    expect(await ground.listing('localhost/tricks:1', '/usr/share/nginx/html')).toEqual([
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
    await ground.repository('outside', { dist: { symlink: '/etc' } });
    expect(await ground.build(ground.request({ repo_url: `${ground.daemon.url}/outside` }))).toMatchObject({
      code: 1,
      error: {
        code: 422,
        stage: 'stack',
        message: 'static_cfg.output_dir: "dist" leads out of the repository',
      },
      files: expect.not.arrayContaining(['scratch', 'result.json']),
    });
  });
});

describe('a base image', () => {
  it.each([
    ['that its registry does not have', () => `${ground.registry.address}/nothing:1`, 502],
    ['whose registry is not there', () => '127.0.0.1:9/base:1', 502],
    ['that only this host could have', () => 'localhost/nothing:1', 422],
  ])('%s is an error that names it', async (_why, image, code) => {
    const ended = await ground.build(ground.request({ static_cfg: { base_image: image() } }));
    expect(ended).toMatchObject({ code: 1, error: { code, stage: 'buildah' } });
    expect(ended.error?.message).toContain(image());
    expect(await ground.workingContainers()).toBe('');
  });

  it('that would have something executed (ONBUILD) is an error that names both', async () => {
    const marker = join(ground.folder, 'executed');
    const run = `ONBUILD RUN ["/bin/busybox","touch","${marker}"]`;
    await ground.inside(
      `printf '%s\\n' 'FROM ${ground.base}' '${run}' | buildah bud --format=docker --isolation=chroot -t localhost/onbuild:1 -f - ${ground.folder}/git/site`,
    );
    const name = 'localhost/onbuild:1';
    const ended = await ground.build(
      ground.request({ static_cfg: { base_image: name }, base_images: [name] }),
    );
    expect(ended).toMatchObject({ code: 1, error: { code: 422, stage: 'stack' } });
    expect(ended.error?.message).toMatch(
      /^base image localhost\/onbuild:1: ONBUILD "RUN .*a static build executes/,
    );
    expect(JSON.stringify(ended.events)).not.toContain('STEP');
  });
});

describe('who reads stdout', () => {
  it('may be gone', async () => {
    const running = await ground.start(ground.request());
    running.process.stdout?.destroy();
    expect(await running.ended).toMatchObject({
      code: 0,
      events: expect.arrayContaining([{ type: 'result', ok: expect.anything() }]),
    });
  });

  it('may read nothing at all', async () => {
    const running = await ground.start(ground.dockerfileRequest('loud'));
    running.process.stdout?.pause();
    const code = await new Promise(resolve => running.process.once('exit', resolve));
    expect(code).toBe(0);
    running.process.stdout?.destroy();
    expect((await outcomeOf(running.workDir)).result).toMatchObject({ stack_used: 'dockerfile' });
  });

  it('may have closed it before the start', async () => {
    expect(
      await ground.build(ground.request(), { under: ['sh', '-c', 'exec "$@" >&-', 'sh'] }),
    ).toMatchObject({ code: 0 });
  });

  it('gets no more than is kept of what a build says', async () => {
    const running = await ground.start(ground.dockerfileRequest('loud'));
    const ended = await running.ended;
    expect(ended).toMatchObject({ code: 0 });
    expect((await stat(join(running.workDir, 'events.ndjson'))).size).toBeLessThan(5_000_000);
    expect(ended.events.some(logged('is not kept'))).toBe(true);
  });
});

describe('a request that cannot be meant', () => {
  it.each([
    [{ git_ref: '--upload-pack=touch' }, 'git_ref'],
    [{ repo_url: 'ext::sh -c id' }, 'repo_url'],
    [{ repo_url: 'file:///etc' }, 'repo_url'],
    [{ static_cfg: { output_dir: '../..' } }, 'static_cfg.output_dir'],
  ])('is named by its field: %j', async (fields, field) => {
    expect(await ground.build(ground.request(fields))).toMatchObject({
      code: 2,
      error: { code: 400, stage: 'request', message: expect.stringMatching(`^${field}: `) },
      files: expect.arrayContaining(['error.json']),
    });
  });

  it.each(['buildpacks', 'railpack'])('because %s is not there yet says so', async name => {
    const ended = await ground.build(ground.request({ stack: name, static_cfg: undefined }));
    expect(ended).toMatchObject({ code: 1, error: { code: 501, stage: 'stack' } });
    expect(ended.error?.message).toContain(name);
  });

  it('because it is not JSON, or does not exist, is an error about the file', async () => {
    const workDir = join(ground.folder, 'no-json');
    await mkdir(workDir);
    await writeFile(join(workDir, 'other.json'), '{"repo_url":');
    const wrong = await ground.start(undefined, { workDir, args: [join(workDir, 'other.json'), workDir] });
    expect(await wrong.ended).toMatchObject({
      code: 2,
      error: { message: expect.stringContaining('is not JSON') },
    });
    expect(await (await ground.start(undefined)).ended).toMatchObject({
      code: 2,
      error: { message: expect.stringContaining('cannot be read: ENOENT') },
    });
  });

  it.each([[[]], [['one']], [['a', 'b', 'c']], [['--force', 'a']], [['/nowhere/request.json', '/nowhere']]])(
    'on the command line is one line: %j',
    async args => {
      const ended = await (await ground.start(undefined, { args })).ended;
      expect(ended).toMatchObject({ code: 2, stdout: [], files: [] });
      expect(ended.stderr).toMatch(/^builder: .+\n$/);
    },
  );

  it('because it has its outcome already changes nothing', async () => {
    const first = await ground.start(ground.request({ git_ref: 'nowhere' }));
    const { error } = await first.ended;
    expect(error).toMatchObject({ code: 422, stage: 'git' });
    const again = await startBuilder(ground.podman, { workDir: first.workDir, request: ground.request() });
    expect(await again.ended).toMatchObject({ code: 2, error, result: undefined });
  });
});

// An image that is built goes to its registry: Debian's docker-registry, with and without credentials and TLS.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, type Registry, startRegistry } from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busybox, createGround, type Ground, logged } from '../test/ground.ts';
import type { Running } from '../test/start-builder.ts';
import type { Frame } from './frames.ts';

let ground: Ground;
/** Asks for `robot` and `secret-word`. */
let closed: Registry;
let hanging: string;

const auth = { username: 'robot', password: 'secret-word' };
const variable = 'COOLD_BUILDER_INSECURE_REGISTRIES';

beforeAll(async () => {
  ground = await createGround();
  closed = await startRegistry(ground.podman, {
    folder: join(ground.folder, 'closed'),
    port: await freePort(),
    auth: true,
  });
  hanging = await ground.startHanging();
}, 120_000);

afterAll(async () => {
  await closed[Symbol.asyncDispose]();
  await ground[Symbol.asyncDispose]();
}, 60_000);

const insecure = (...registries: string[]) => ({ env: { [variable]: registries.join(',') } });
const pushed = (target: string, push: object = {}) => ground.request({ target_image: target, push });
const stages = (events: Frame[]) => [
  ...new Set(events.flatMap(frame => (frame.type === 'progress' ? [frame.stage] : []))),
];
const words = (events: Frame[]) =>
  events.flatMap(frame => (frame.type === 'progress' && frame.stage === 'push' ? [frame.log] : []));

/** Every byte that a build has left, in its folder and in memory. */
async function left({ workDir }: Pick<Running, 'workDir'>): Promise<string> {
  const names = await readdir(workDir);
  const texts = await Promise.all(names.map(name => readFile(join(workDir, name), 'utf8')));
  const inMemory = (await readdir('/dev/shm')).filter(name => name.startsWith('coolify-login-'));
  return [...texts, ...inMemory].join('\n');
}

describe('a push', () => {
  it('takes the image to its registry, counts its layers, and gives the digest that it has there', async () => {
    const target = `${ground.registry.address}/tenant/web:1`;
    const ended = await ground.build(pushed(target), insecure(ground.registry.address));
    expect(ended).toMatchObject({ code: 0, stderr: '', error: undefined });
    const digest = await ground.inside(
      `curl -fsS -o /dev/null -D - -H 'accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' http://${ground.registry.address}/v2/tenant/web/manifests/1 | tr -d '\\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'`,
    );
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(ended.result).toMatchObject({ digest, registry_ref: `${target}@${digest}` });
    expect(stages(ended.events)).toEqual(['git', 'stack', 'buildah', 'push']);
    const said = words(ended.events);
    expect(said).toContain(`pushing 2 layers to ${ground.registry.address}`);
    expect(said.filter(text => /^layer [12] of 2: [0-9a-f]{12}$/.test(text))).toHaveLength(2);
    const percents = ended.events.flatMap(frame => (frame.type === 'progress' ? [frame.percent] : []));
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
    await ground.inside(
      `podman rmi ${target} >/dev/null; podman pull -q --tls-verify=false ${target}@${digest}`,
    );
  });

  it('with credentials leaves them nowhere: in no file, no event and no process list', async () => {
    const running = await ground.start(
      pushed(`${closed.address}/tenant/web:1`, { auth }),
      insecure(closed.address),
    );
    await running.frame(logged('pushing'));
    const seen = await ground.inside('cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " "');
    const ended = await running.ended;
    expect(ended).toMatchObject({ code: 0, result: { digest: expect.stringMatching(/^sha256:/) } });
    const secrets = /secret-word|cm9ib3Q6c2VjcmV0LXdvcmQ/;
    expect(seen).toContain(running.workDir);
    for (const text of [seen, await left(running), ended.stderr, JSON.stringify(ended.stdout)])
      expect(text).not.toMatch(secrets);
    const kept = JSON.parse(await readFile(join(running.workDir, 'request.json'), 'utf8'));
    expect(kept).toMatchObject({ push: {}, target_image: `${closed.address}/tenant/web:1` });
  });

  it('of a builder that is killed in the middle leaves no credentials either', async () => {
    const running = await ground.start(pushed(`${hanging}/tenant/web:1`, { auth }), insecure(hanging));
    await running.frame(logged('pushing'));
    running.process.kill('SIGKILL');
    await running.ended;
    expect(await ground.inside(`grep -rl -e secret-word -e cm9ib3Q6 ${running.workDir} || true`)).toBe('');
    expect((await readdir('/dev/shm')).filter(name => name.startsWith('coolify-login-'))).toEqual([]);
  });

  it.each<[string, () => [string, object], number, RegExp]>([
    ['refuses', () => [closed.address, {}], 502, /authentication required|unauthorized/i],
    [
      'gets a wrong password',
      () => [closed.address, { auth: { username: 'robot', password: 'wrong-word' } }],
      502,
      /authentication required|unauthorized/i,
    ],
    ['is not there', () => ['127.0.0.1:9', { auth }], 502, /connection refused/],
  ])('to a registry that %s is an error of stage push with its words', async (_, where, code, message) => {
    const [registry, push] = where();
    // A name that an earlier image had would go back to that.
    const ended = await ground.build(pushed(`${registry}/tenant/refused:1`, push), insecure(registry));
    expect(ended).toMatchObject({ code: 1, result: undefined, error: { code, stage: 'push' } });
    expect(ended.error?.message).toMatch(message);
    expect(ended.error?.message).toContain(registry);
    expect(JSON.stringify(ended)).not.toMatch(/secret-word|wrong-word/);
    const images = await ground.inside('podman images --format "{{.Repository}}"');
    expect(images, 'nothing of it stays').not.toContain(`${registry}/tenant/refused`);
  });

  it('uses plain HTTP only where the operator allows it, regardless of registries.conf', async () => {
    const target = `${ground.registry.address}/tenant/plain:1`;
    for (const env of [{}, { [variable]: '127.0.0.1:1,registry.example' }]) {
      const ended = await ground.build(pushed(target), { env });
      expect(ended).toMatchObject({ code: 1, error: { code: 502, stage: 'push' } });
      expect(ended.error?.message).toMatch(/HTTP response to HTTPS client/);
    }
  });

  it('has its credentials for a base image of the same registry, and of no other', async () => {
    const base = `${closed.address}/tenant/private:1`;
    await ground.inside(
      `podman tag localhost/tiny:latest ${base} && podman push -q --creds robot:secret-word ${base} && podman rmi ${base}`,
    );
    await ground.repository('private', { Dockerfile: `FROM ${base}\nCOPY app.txt /\n`, 'app.txt': 'app\n' });
    const request = (registry: string, push: object = {}) => ({
      ...ground.dockerfileRequest('private'),
      target_image: `${registry}/tenant/on-private:1`,
      push,
    });
    const both = insecure(closed.address, ground.registry.address);
    const ended = await ground.build(request(closed.address, { auth }), both);
    expect(ended, JSON.stringify(ended.error)).toMatchObject({ code: 0 });
    expect(JSON.stringify(ended)).not.toMatch(/secret-word|cm9ib3Q6c2VjcmV0LXdvcmQ/);
    for (const other of [request(closed.address), request(ground.registry.address, { auth })])
      expect(await ground.build(other, both)).toMatchObject({
        code: 1,
        error: { code: 502, stage: 'buildah' },
      });
  });

  it('that fails leaves no image, layer or working container behind', async () => {
    await ground.repository('layered', {
      Dockerfile: `FROM ${ground.base}\nCOPY app.txt /\n${busybox('echo x >/x')}`,
      'app.txt': 'app\n',
    });
    const stored = () => ground.inside('podman images -aq --no-trunc; buildah containers -q');
    const before = await stored();
    for (const fields of [{}, { cache_key: 'layered' }]) {
      const target = { target_image: '127.0.0.1:9/tenant/layered:1', push: {} };
      const ended = await ground.build({ ...ground.dockerfileRequest('layered'), ...target, ...fields });
      expect(ended).toMatchObject({ code: 1, error: { code: 502, stage: 'push' } });
      expect(await stored()).toBe(before);
    }
  });

  it('that is cancelled ends at once', async () => {
    const running = await ground.start(pushed(`${hanging}/tenant/web:1`, { auth }), insecure(hanging));
    await running.frame(logged('pushing'));
    running.process.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 130, error: { code: 499, stage: 'cancel' } });
    expect(await left(running)).not.toMatch(/secret-word/);
  });

  it('to no registry is refused before anything is built', async () => {
    const ended = await ground.build(pushed('localhost/built:1'));
    expect(ended).toMatchObject({ code: 2, error: { code: 400, stage: 'request' } });
    expect(ended.error?.message).toMatch(/^target_image: expected the name of a registry/);
  });
});

it('a build without one is not pushed: its digest is that of the host’s own storage', async () => {
  const target = `${ground.registry.address}/tenant/here:1`;
  const ended = await ground.build(ground.request({ target_image: target }));
  expect(ended).toMatchObject({ code: 0 });
  expect(stages(ended.events)).toEqual(['git', 'stack', 'buildah', 'digest']);
  const tags = await ground.inside(`curl -sS http://${ground.registry.address}/v2/tenant/here/tags/list`);
  expect(tags).toContain('NAME_UNKNOWN');
});

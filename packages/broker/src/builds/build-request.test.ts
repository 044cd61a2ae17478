import { BuildStack } from '@coold/proto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBuildOrder } from './build-request.ts';

const common = { repo_url: 'https://git.example/app.git', git_ref: 'main', target_image: 'localhost/app:v1' };
const read = (command: object, body: object = {}) =>
  readBuildOrder({ request_id: 'b-1', command: { ...common, ...command }, ...body });
const statically = { type: 'static_build' };
const dockerfile = { type: 'dockerfile_build' };

describe('an order', () => {
  it('of a static build says where its files are, or leaves it to the host', () => {
    expect(
      read({ ...statically, output_dir: 'public', base_image: 'caddy' }, { host_id: 'h' }),
    ).toMatchObject({
      requestId: 'b-1',
      hostId: 'h',
      type: 'static_build',
      schema: 1,
      build: {
        repoUrl: common.repo_url,
        gitRef: 'main',
        targetImage: 'localhost/app:v1',
        cacheKey: '',
        stack: BuildStack.STATIC,
        staticCfg: { outputDir: 'public', baseImage: 'caddy' },
      },
    });
    expect(read({ ...statically, output_dir: null, base_image: '' }, { host_id: null })).toMatchObject({
      hostId: undefined,
      build: { staticCfg: { outputDir: '', baseImage: '' } },
    });
  });

  it('of a dockerfile build names its file, arguments and stage, and is of schema 2', () => {
    const build_args = { VERSION: '1', _KEY: 'two\nlines' };
    expect(read({ ...dockerfile, dockerfile: 'deploy/Dockerfile', build_args, target: 'web' })).toMatchObject(
      {
        schema: 2,
        build: {
          stack: BuildStack.DOCKERFILE,
          dockerfileCfg: { dockerfile: 'deploy/Dockerfile', buildArgs: build_args, target: 'web' },
        },
      },
    );
    expect(read({ ...dockerfile, build_args: [] }), 'as PHP writes an empty map').toMatchObject({
      build: { dockerfileCfg: { buildArgs: {} } },
    });
  });
});

describe('what schema 2 adds to either type', () => {
  it.each([statically, dockerfile])('is read, and asks for a host that sees it: %j', type => {
    const auth = { username: 'robot', password: 'geheim' };
    expect(read({ ...type, push: { auth }, base_images: ['localhost/base:1'] })).toMatchObject({
      schema: 2,
      needs: { what: `${type.type} with push`, field: 'command.push' },
      build: { push: { auth }, baseImages: ['localhost/base:1'] },
    });
    for (const push of [{}, [], { auth: null }])
      expect(read({ ...type, push })).toMatchObject({ schema: 2, build: { push: {} } });
    expect(read({ ...type, base_images: ['x'] })).toMatchObject({
      schema: 2,
      needs: { what: `${type.type} with base_images`, field: 'command.base_images' },
    });
  });

  it('is absent where it is not given', () => {
    const order = read({ ...statically, push: null, base_images: [] });
    expect(order).toMatchObject({ schema: 1, needs: { what: 'static_build', field: 'command.type' } });
    expect(order).not.toHaveProperty('build.push');
  });

  it.each<[string, object]>([
    ['command.push', { push: true }],
    ['command.push.registry', { push: { registry: 'x' } }],
    ['command.push.auth', { push: { auth: 'robot:geheim' } }],
    ['command.push.auth.username', { push: { auth: { password: 'geheim' } } }],
    ['command.push.auth.password', { push: { auth: { username: 'robot', password: 7 } } }],
    ['command.push.auth.token', { push: { auth: { username: 'a', password: 'b', token: 'c' } } }],
    ['command.base_images', { base_images: 'localhost/base:1' }],
    ['command.base_images', { base_images: Array.from({ length: 101 }, () => 'x') }],
    ['command.base_images[1]', { base_images: ['x', 'a\nb'] }],
  ])('is refused by its name: %s', (field, given) => {
    const refusal = read({ ...statically, ...given });
    expect(refusal).toMatchObject({ code: 400, field });
    expect(JSON.stringify(refusal)).not.toContain('geheim');
  });
});

it('is read without its unknown keys', () => {
  expect(read(statically, { timeout: 1 })).toMatchObject({ type: 'static_build' });
});

describe('is refused by the name of the field', () => {
  it.each<[string, unknown]>([
    ['command', {}],
    ['command.type', { type: 'buildpacks_build' }],
    ['command.type', { type: 'toString' }],
    ['command.type', { type: 1 }],
    ['command.repo_url', { repo_url: undefined }],
    ['command.repo_url', { repo_url: '' }],
    ['command.repo_url', { repo_url: `https://${'x'.repeat(2048)}` }],
    ['command.repo_url', { repo_url: 'https://x/\ny' }],
    ['command.git_ref', { git_ref: 7 }],
    ['command.git_ref', { git_ref: 'main\u2028' }],
    ['command.target_image', { target_image: null }],
    ['command.output_dir', { output_dir: 'a\0b' }],
    ['command.base_image', { base_image: ['nginx'] }],
    ['command.cache_key', { cache_key: 'x'.repeat(129) }],
    ['command.dockerfile', { dockerfile: 'Dockerfile' }],
    ['command.surprise', { surprise: 1 }],
  ])('%s', (field, given) => {
    const command = field === 'command' ? 'static' : { ...statically, ...common, ...(given as object) };
    const order = readBuildOrder({ request_id: 'b-1', command });
    expect(order).toMatchObject({ code: 400, requestId: 'b-1', field });
    expect(order).toHaveProperty('message', expect.stringContaining(`${field}: `));
  });

  it.each<[string, object]>([
    ['command.build_args', { build_args: ['A=1'] }],
    ['command.build_args', { build_args: { 'A B': '1' } }],
    [
      'command.build_args',
      { build_args: Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`A${n}`, ''])) },
    ],
    ['command.build_args.A', { build_args: { A: 1 } }],
    ['command.build_args.A', { build_args: { A: 'x'.repeat(32_769) } }],
    ['command.output_dir', { output_dir: 'dist' }],
  ])('%s of a dockerfile build', (field, given) => {
    expect(read({ ...dockerfile, ...given })).toMatchObject({ code: 400, field });
  });

  it.each<[string, unknown]>([
    ['body', 'text'],
    ['body', [1]],
    ['request_id', {}],
    ['request_id', { request_id: '-rf' }],
    ['request_id', { request_id: 'x'.repeat(129) }],
  ])('%s, and without an id', (field, body) => {
    expect(readBuildOrder(body)).toMatchObject({ code: 400, requestId: '', field });
  });

  it('host_id', () => {
    expect(read(statically, { host_id: 'x'.repeat(129) })).toMatchObject({ field: 'host_id' });
  });

  it('request_id with a colon, which names no unit', () => {
    const order = readBuildOrder({ request_id: 'b:1', command: { ...statically, ...common } });
    expect(order).toMatchObject({ code: 400, requestId: '', field: 'request_id' });
  });

  it('command.type, which says how a build is cancelled', () => {
    expect(read({ type: 'cancel' })).toMatchObject({
      code: 400,
      field: 'command.type',
      message: expect.stringContaining('POST /v1/build/:id/cancel'),
    });
  });
});

it('whatever comes in is an order or a refusal', () => {
  const some = fc.oneof(fc.anything(), fc.string());
  const command = fc.record(
    {
      type: fc.constantFrom('static_build', 'dockerfile_build'),
      repo_url: some,
      git_ref: some,
      target_image: some,
      build_args: some,
      output_dir: some,
    },
    { requiredKeys: ['type'] },
  );
  const body = fc.record({ request_id: fc.constant('b'), command }, { noNullPrototype: true });
  fc.assert(
    fc.property(fc.oneof(body, fc.anything()), value => {
      const order = readBuildOrder(value);
      if ('code' in order) expect(order.code).toBe(400);
      else expect(order.build.repoUrl.length).toBeGreaterThan(0);
    }),
    { numRuns: 500 },
  );
});

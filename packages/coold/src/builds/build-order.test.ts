import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { BuildRequestSchema, BuildStack } from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { readBuildOrder } from './build-order.ts';

const common = { repoUrl: 'https://git.example/app.git', gitRef: 'main', targetImage: 'localhost/app:1' };
const order = (message: MessageInitShape<typeof BuildRequestSchema>) =>
  readBuildOrder(create(BuildRequestSchema, { ...common, ...message }));

describe('a build from the broker', () => {
  it('becomes the request that the builder reads', () => {
    const staticCfg = { outputDir: 'public', baseImage: '' };
    expect(order({ stack: BuildStack.STATIC, staticCfg, cacheKey: 'k' })).toEqual({
      stack: 'static',
      request: {
        repo_url: common.repoUrl,
        git_ref: 'main',
        stack: 'static',
        target_image: 'localhost/app:1',
        cache_key: 'k',
        static_cfg: { output_dir: 'public', base_image: '' },
      },
    });
    const dockerfileCfg = { dockerfile: 'a/Dockerfile', buildArgs: { A: '1' }, target: '' };
    expect(order({ stack: BuildStack.DOCKERFILE, dockerfileCfg }).request).toMatchObject({
      dockerfile_cfg: { dockerfile: 'a/Dockerfile', build_args: { A: '1' }, target: '' },
    });
    const push = { auth: { username: 'robot', password: 'geheim' } };
    const pushed = { targetImage: 'r.example/app:1', push, baseImages: ['localhost/base:1'] };
    expect(order({ stack: BuildStack.STATIC, ...pushed }).request).toMatchObject({
      push,
      base_images: ['localhost/base:1'],
    });
    expect(order({ stack: BuildStack.STATIC, ...pushed, push: {} }).request).toMatchObject({ push: {} });
    // Schema 1 has no such field.
    expect(order({ stack: BuildStack.DOCKERFILE }).request).not.toHaveProperty('dockerfile_cfg');
  });

  it.each<[string, MessageInitShape<typeof BuildRequestSchema>]>([
    ['repo_url', { repoUrl: 'ext::sh -c id' }],
    ['git_ref', { gitRef: '--upload-pack=x' }],
    ['target_image', { targetImage: 'A B' }],
    ['static_cfg.output_dir', { staticCfg: { outputDir: '../..' } }],
    ['static_cfg.base_image', { staticCfg: { baseImage: 'x\nRUN y' } }],
    ['dockerfile_cfg', { dockerfileCfg: {} }],
    ['target_image', { push: {} }],
    [
      'push.auth.username',
      { targetImage: 'r.example/a', push: { auth: { username: 'a:b', password: 'x' } } },
    ],
    ['push.auth.password', { targetImage: 'r.example/a', push: { auth: { username: 'a', password: '' } } }],
    ['base_images[1]', { baseImages: ['localhost/base:1', 'dir:/etc'] }],
    ['nonce', { nonce: '../x' }],
    ['stack', { stack: BuildStack.UNSPECIFIED }],
    ['stack', { stack: 99 as BuildStack }],
  ])('whose %s is not understood is refused by its name: %j', (field, message) => {
    expect(() => order({ stack: BuildStack.STATIC, ...message })).toThrow(
      expect.objectContaining({ code: 400, field }) as Error,
    );
  });

  it.each([BuildStack.BUILDPACKS, BuildStack.RAILPACK])('of stack %i is a 501', stack => {
    expect(() => order({ stack })).toThrow(expect.objectContaining({ code: 501 }) as Error);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBuildRequest } from './build-request.ts';
import { RequestError } from './request-error.ts';

const whole = {
  repo_url: 'https://git.example/a/b.git',
  git_ref: 'main',
  stack: 'static',
  target_image: 'localhost/tenant/web:v2',
};

function refusal(request: unknown): string {
  try {
    readBuildRequest(request);
  } catch (error) {
    if (error instanceof RequestError) return error.field;
    throw error;
  }
  return 'none';
}

describe('a request', () => {
  it('needs four fields; what is not said has a default', () => {
    expect(readBuildRequest(whole)).toEqual({
      repo: { protocol: 'https', url: 'https://git.example/a/b.git' },
      gitRef: 'main',
      targetImage: 'localhost/tenant/web:v2',
      stack: { name: 'static', config: { outputDir: 'dist', baseImage: 'docker.io/library/nginx:alpine' } },
    });
  });

  it('may hold what its stack knows', () => {
    const static_cfg = { output_dir: 'web/out', base_image: 'caddy:2' };
    expect(readBuildRequest({ ...whole, static_cfg, cache_key: 'web' })).toMatchObject({
      cacheKey: 'web',
      stack: { name: 'static', config: { outputDir: 'web/out', baseImage: 'caddy:2' } },
    });
    const dockerfile_cfg = { dockerfile: 'docker/web', build_args: { A: 'x=y\nz' }, target: 'final' };
    expect(readBuildRequest({ ...whole, stack: 'dockerfile', dockerfile_cfg })).toMatchObject({
      stack: {
        name: 'dockerfile',
        config: { dockerfile: 'docker/web', buildArgs: { A: 'x=y\nz' }, target: 'final' },
      },
    });
  });

  it('takes empty text, which is how protobuf says nothing, for absent', () => {
    const request = { ...whole, cache_key: '', static_cfg: { output_dir: '', base_image: '' } };
    expect(readBuildRequest(request)).toEqual(readBuildRequest(whole));
  });

  it.each([
    ['request', null],
    ['request', []],
    ['request', 'x'],
    ['repo_url', {}],
    ['git_ref', { ...whole, git_ref: 5 }],
    ['stack', { ...whole, stack: 'compose' }],
    ['stack', { ...whole, stack: undefined }],
    ['target_image', { ...whole, target_image: 'a b' }],
    ['target_image', { ...whole, target_image: `a@sha256:${'0'.repeat(64)}` }],
    ['target_image', { ...whole, target_image: '0'.repeat(64) }],
    ['target_image', { ...whole, target_image: '--tag' }],
    ['cache_key', { ...whole, cache_key: '../x' }],
    ['static_cfg', { ...whole, static_cfg: [] }],
    ['static_cfg.output_dir', { ...whole, static_cfg: { output_dir: '/etc' } }],
    ['static_cfg.output_dir', { ...whole, static_cfg: { output_dir: 'a/../../b' } }],
    ['static_cfg.output_dir', { ...whole, static_cfg: { output_dir: 'a\nRUN id' } }],
    ['static_cfg.base_image', { ...whole, static_cfg: { base_image: 'nginx\nRUN id' } }],
    ['static_cfg.base_image', { ...whole, static_cfg: { base_image: 'oci-archive:/etc/x' } }],
    ['static_cfg.dir', { ...whole, static_cfg: { dir: 'x' } }],
    ['dockerfile_cfg', { ...whole, dockerfile_cfg: {} }],
    ['static_cfg', { ...whole, stack: 'dockerfile', static_cfg: {} }],
    ['dockerfile_cfg.dockerfile', { ...whole, stack: 'dockerfile', dockerfile_cfg: { dockerfile: '../x' } }],
    ['dockerfile_cfg.target', { ...whole, stack: 'dockerfile', dockerfile_cfg: { target: '-x' } }],
    [
      'dockerfile_cfg.build_args',
      { ...whole, stack: 'dockerfile', dockerfile_cfg: { build_args: { 'A=B': 'x' } } },
    ],
    ['dockerfile_cfg.build_args', { ...whole, stack: 'dockerfile', dockerfile_cfg: { build_args: [] } }],
    [
      'dockerfile_cfg.build_args.A',
      { ...whole, stack: 'dockerfile', dockerfile_cfg: { build_args: { A: 'x\0' } } },
    ],
    [
      'dockerfile_cfg.build_args.A',
      { ...whole, stack: 'dockerfile', dockerfile_cfg: { build_args: { A: 5 } } },
    ],
    ['submodules', { ...whole, submodules: true }],
  ])('is refused with the name of the field: %s', (field, request) => {
    expect(refusal(request)).toBe(field);
  });

  it('is read or refused for any JSON value', () => {
    const fields = fc.record(
      {
        repo_url: fc.oneof(fc.constant(whole.repo_url), fc.anything()),
        git_ref: fc.oneof(fc.constant('main'), fc.anything()),
        stack: fc.oneof(fc.constantFrom('static', 'dockerfile', 'railpack'), fc.anything()),
        target_image: fc.oneof(fc.constant('a'), fc.anything()),
        static_cfg: fc.anything(),
        dockerfile_cfg: fc.anything(),
      },
      { requiredKeys: [] },
    );
    fc.assert(fc.property(fc.oneof(fields, fc.anything()), value => void refusal(value)));
  });
});

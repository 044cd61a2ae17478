import { expect, it } from 'vitest';
import { readContainerfile } from '../containerfile/parse.ts';
import { buildInvocation } from './buildah-arguments.ts';

const files = {
  containerfile: '/w/Containerfile',
  ignore: '/w/ignore',
  mounts: '/w/mounts',
  imageId: '/w/image-id',
  empty: '/w/empty',
  networks: 'networks',
  runtime: '/w/runtime',
};
const plan = {
  containerfile: readContainerfile('FROM a:1\n'),
  context: '/w/checkout',
  ignore: '',
  buildArgs: {},
  runs: false,
};

it('of a plan that runs nothing are those of a build without containers', () => {
  const options = { targetImage: 'a:1', layers: 'none' as const, needsAllStages: false };
  expect(buildInvocation(plan, files, options)).toEqual({
    program: 'buildah',
    args: [
      ...[
        '--default-mounts-file',
        '/w/mounts',
        'bud',
        '--isolation=chroot',
        '--layers=false',
        '--format=docker',
        '--identity-label=false',
        '--annotation=stage=committed',
      ],
      ...[
        '--cni-config-dir=networks',
        '--pull=false',
        '--force-rm',
        '--retry=1',
        '--retry-delay=1s',
        '--iidfile=/w/image-id',
        '--ignorefile=/w/ignore',
      ],
      ...['--file=/w/Containerfile', '--tag=a:1', '--', '/w/checkout'],
    ],
    env: {},
  });
});

it('of a plan with RUN steps put them into containers, in a PID namespace that ends with the build', () => {
  const { program, args, env } = buildInvocation(
    { ...plan, runs: true, buildArgs: { A_KEY: 'x=y', B_TOKEN: '', C: 'z=' }, target: 'final' },
    files,
    { targetImage: 'a:1', layers: 'kept', needsAllStages: true },
  );
  expect(program).toBe('unshare');
  expect(args.slice(0, 6)).toEqual(['--pid', '--fork', '--mount-proc', '--kill-child', '--', 'buildah']);
  for (const expected of [
    ...['--isolation=oci', '--network=host', '--volume=/w/empty:/sys/fs/cgroup:ro', '--layers=true'],
    ...['--runtime-flag=cgroup-manager=disabled', '--runtime-flag=root=/w/runtime'],
    ...[
      '--cap-drop=CAP_MKNOD',
      '--cap-drop=CAP_NET_RAW',
      '--build-arg=A_KEY',
      '--build-arg=B_TOKEN',
      '--build-arg=C=z=',
      '--target=final',
      '--skip-unused-stages=false',
    ],
  ])
    expect(args).toContain(expected);
  expect(env).toEqual({ A_KEY: 'x=y', B_TOKEN: '' });
  expect(args.slice(-2)).toEqual(['--', '/w/checkout']);
});

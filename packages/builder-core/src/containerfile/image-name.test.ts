import { expect, it } from 'vitest';
import { completeImageName } from './image-name.ts';

it.each([
  ['node:20-alpine', 'docker.io/library/node:20-alpine'],
  ['busybox', 'docker.io/library/busybox'],
  ['user/repo:tag', 'docker.io/user/repo:tag'],
  ['a/b/c', 'docker.io/a/b/c'],
  ['docker.io/nginx', 'docker.io/library/nginx'],
  ['docker.io/user/repo', 'docker.io/user/repo'],
  ['index.docker.io/nginx:1', 'docker.io/library/nginx:1'],
  ['localhost/x', 'localhost/x'],
  ['localhost:5000/x', 'localhost:5000/x'],
  ['ghcr.io/x/y', 'ghcr.io/x/y'],
  ['registry:5000/x', 'registry:5000/x'],
  ['REGISTRY/x', 'REGISTRY/x'],
  [`nginx@sha256:${'0'.repeat(64)}`, `docker.io/library/nginx@sha256:${'0'.repeat(64)}`],
  ['0'.repeat(64), '0'.repeat(64)],
  ['0'.repeat(63), `docker.io/library/${'0'.repeat(63)}`],
])('%s means %s', (name, complete) => {
  expect(completeImageName(name)).toBe(complete);
  expect(completeImageName(complete)).toBe(complete);
});

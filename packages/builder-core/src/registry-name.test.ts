import { expect, it } from 'vitest';
import { registryOf } from './registry-name.ts';

it.each([
  ['docker.io/library/nginx:alpine', 'docker.io'],
  ['127.0.0.1:5000/a/b:1', '127.0.0.1:5000'],
  ['nginx', 'docker.io'],
  ['user/repo:tag', 'docker.io'],
  ['REGISTRY/x', 'REGISTRY'],
])('%s leads to %s', (reference, registry) => {
  expect(registryOf(reference)).toBe(registry);
});

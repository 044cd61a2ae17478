import { describe, expect, it } from 'vitest';
import { completeImageName, readImageName, registryOf } from './image-name.ts';

const hex = 'a1'.repeat(32);

describe('the name of an image', () => {
  it.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:alpine', 'docker.io/library/nginx:alpine'],
    ['library/nginx:alpine', 'docker.io/library/nginx:alpine'],
    ['docker.io/nginx:alpine', 'docker.io/library/nginx:alpine'],
    ['index.docker.io/grafana/grafana', 'docker.io/grafana/grafana:latest'],
    ['grafana/grafana:11', 'docker.io/grafana/grafana:11'],
    ['deadbeefcafe', 'docker.io/library/deadbeefcafe:latest'],
    ['ghcr.io/a/b', 'ghcr.io/a/b:latest'],
    ['localhost:5000/a:1', 'localhost:5000/a:1'],
    ['Registry/a:1', 'Registry/a:1'],
    [`nginx@sha256:${hex}`, `docker.io/library/nginx@sha256:${hex}`],
    [`127.0.0.1:5000/a:1@sha256:${hex}`, `127.0.0.1:5000/a@sha256:${hex}`],
  ])('%s is of a registry: %s', (text, name) => {
    expect(readImageName(text)).toEqual({ kind: 'registry', name });
    expect(readImageName(name)).toEqual({ kind: 'registry', name });
  });

  it.each([
    ['localhost/a', 'localhost/a:latest'],
    ['localhost/a:1', 'localhost/a:1'],
    [`localhost/a@sha256:${hex}`, `localhost/a@sha256:${hex}`],
  ])('%s is of this host: %s', (text, name) => {
    expect(readImageName(text)).toEqual({ kind: 'local', name });
  });

  it.each([hex, `sha256:${hex}`])('%s is an id', text => {
    expect(readImageName(text)).toEqual({ kind: 'id', hex });
  });

  it.each([
    ['node:20-alpine', 'docker.io/library/node:20-alpine'],
    ['busybox', 'docker.io/library/busybox:latest'],
    ['user/repo:tag', 'docker.io/user/repo:tag'],
    ['a/b/c', 'docker.io/a/b/c:latest'],
    ['docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['docker.io/user/repo', 'docker.io/user/repo:latest'],
    ['index.docker.io/nginx:1', 'docker.io/library/nginx:1'],
    ['localhost/x', 'localhost/x:latest'],
    ['localhost:5000/x', 'localhost:5000/x:latest'],
    ['ghcr.io/x/y', 'ghcr.io/x/y:latest'],
    ['registry:5000/x', 'registry:5000/x:latest'],
    ['REGISTRY/x', 'REGISTRY/x:latest'],
    [`nginx@sha256:${hex}`, `docker.io/library/nginx@sha256:${hex}`],
    [hex, hex],
    [`sha256:${hex}`, `sha256:${hex}`],
    ['0'.repeat(63), `docker.io/library/${'0'.repeat(63)}:latest`],
  ])('%s is completed to %s', (name, complete) => {
    expect(completeImageName(name)).toBe(complete);
    expect(completeImageName(complete)).toBe(complete);
  });
});

it.each([
  ['docker.io/library/nginx:alpine', 'docker.io'],
  ['127.0.0.1:5000/a/b:1', '127.0.0.1:5000'],
  ['nginx', 'docker.io'],
  ['user/repo:tag', 'docker.io'],
  ['REGISTRY/x', 'REGISTRY'],
])('%s leads to %s', (reference, registry) => {
  expect(registryOf(reference)).toBe(registry);
});

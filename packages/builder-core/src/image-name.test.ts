import { describe, expect, it } from 'vitest';
import { readImageName, registryOf } from './image-name.ts';

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

  it('tells its registry', () => {
    expect(registryOf('docker.io/library/nginx:alpine')).toBe('docker.io');
    expect(registryOf('127.0.0.1:5000/a/b:1')).toBe('127.0.0.1:5000');
  });
});

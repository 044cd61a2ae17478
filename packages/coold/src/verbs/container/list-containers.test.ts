import { describe, expect, it } from 'vitest';
import type { ListedContainer } from '../../podman/listed-containers.ts';
import { cutPage } from './list-containers.ts';

const container = (name: string, label: string): ListedContainer => ({
  id: name,
  name,
  image: 'i',
  imageId: 'i',
  state: 'running',
  health: 'unknown',
  created: 0n,
  labels: { label },
  networks: [],
  ports: [],
});

describe('a page of containers', () => {
  const small = ['a', 'b', 'c'].map(name => container(name, ''));

  it.each([
    [undefined, 3],
    [1, 1],
    [2, 2],
    [3, 3],
    [9, 3],
  ])('of at most %s has %i of three', (limit, count) => {
    expect(cutPage(small, limit)).toEqual(small.slice(0, count));
  });

  it('stays within the size of an answer, and is never empty while there is more', () => {
    const megabyte = 'x'.repeat(1024 * 1024);
    const large = ['a', 'b', 'c', 'd'].map(name => container(name, megabyte));
    expect(cutPage(large, 10).map(({ name }) => name)).toEqual(['a', 'b']);
    expect(cutPage([container('a', megabyte.repeat(5))], 10)).toHaveLength(1);
  });
});

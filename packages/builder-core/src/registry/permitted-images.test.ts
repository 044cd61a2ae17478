import { describe, expect, it } from 'vitest';
import type { ImageRecord } from '../storage/storage-records.ts';
import { sourceOf } from './permitted-images.ts';

const id = (digit: string) => digit.repeat(64);
const images: ImageRecord[] = [
  { id: id('1'), names: ['localhost/a:1', 'docker.io/library/a:1'], digests: [`sha256:${id('e')}`] },
  { id: id('2'), names: ['localhost/b:latest'], digests: [`sha256:${id('f')}`] },
  { id: id('3'), names: [], digests: [] },
];
const storage = (digit: string) => ({ from: 'storage', id: id(digit) });
const registry = (name: string) => ({ from: 'registry', name });

describe('an image', () => {
  it.each([
    ['a:1', [], registry('docker.io/library/a:1')],
    ['a:1', ['docker.io/library/a:1'], storage('1')],
    ['docker.io/library/a:1', ['a:1'], storage('1')],
    ['a:2', ['a:2'], registry('docker.io/library/a:2')],
    ['a:1', [id('1'), 'localhost/a:1'], registry('docker.io/library/a:1')],
    [`a@sha256:${id('e')}`, [], registry(`docker.io/library/a@sha256:${id('e')}`)],
    [`a@sha256:${id('e')}`, [`a@sha256:${id('e')}`], storage('1')],
    ['localhost/b', ['localhost/b:latest'], storage('2')],
    ['localhost/b', [id('2')], storage('2')],
    ['localhost/b', [`sha256:${id('f')}`], storage('2')],
    ['localhost/a:1', ['a:1'], storage('1')],
    [id('3'), [id('3')], storage('3')],
    [`sha256:${id('3')}`, [id('3')], storage('3')],
    [id('1'), ['localhost/a:1'], storage('1')],
  ])('%s, where %j are permitted, is taken from %j', (text, permitted, source) => {
    expect(sourceOf(text, permitted, images)).toEqual(source);
  });

  it.each([
    ['localhost/b', [], 'only an image of this host that the request names in base_images'],
    ['localhost/b', ['localhost/a:1'], 'only an image of this host'],
    ['localhost/b:2', ['localhost/b'], 'only an image of this host'],
    ['localhost/gone:1', ['localhost/gone:1'], 'is not on this host'],
    [id('3'), [], 'only an image of this host'],
    [id('4'), [], 'only an image of this host'],
    [id('4'), [id('4')], 'is not on this host'],
    [id('e'), ['localhost/b'], 'only an image of this host'],
  ])('%s, where %j are permitted, is refused: %s', (text, permitted, message) => {
    expect(() => sourceOf(text, permitted, images)).toThrow(
      expect.objectContaining({ code: 422, message: expect.stringContaining(message) }),
    );
  });
});

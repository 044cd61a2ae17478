import { isImageReference } from '@coold/runtime';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { staticContainerfile } from './static-containerfile.ts';

it('is two lines', () => {
  expect(staticContainerfile('docker.io/library/nginx:alpine')).toBe(
    'FROM docker.io/library/nginx:alpine\nCOPY . /usr/share/nginx/html/\n',
  );
});

it('is two lines for every base image that a request may name', () => {
  fc.assert(
    fc.property(fc.string().filter(isImageReference), base => {
      expect(staticContainerfile(base).split('\n')).toHaveLength(3);
    }),
    { numRuns: 50 },
  );
});

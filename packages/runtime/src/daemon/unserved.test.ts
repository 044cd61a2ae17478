import { expect, it } from 'vitest';
import { createUnserved, unservedProblem, unservedYet } from './unserved.ts';

it('names each address for as long as it cannot be listened at', () => {
  const unserved = createUnserved();
  const metrics = unserved.note('metrics', { host: '127.0.0.1', port: 9464 });
  const rest = unserved.note('rest', { host: 'fd00::1', port: 8443 });
  expect(unserved.list()).toEqual([]);
  metrics('listen EADDRINUSE');
  rest('listen EADDRNOTAVAIL');
  metrics('listen EACCES');
  expect(unserved.list().map(unservedProblem)).toEqual([
    'metrics are not served on 127.0.0.1:9464, which is tried again: listen EACCES',
    'the REST API is not served on [fd00::1]:8443, which is tried again: listen EADDRNOTAVAIL',
  ]);
  metrics(undefined);
  expect(unserved.list().map(unservedYet)).toEqual(['the REST API on [fd00::1]:8443']);
  rest(undefined);
  expect(unserved.list()).toEqual([]);
});

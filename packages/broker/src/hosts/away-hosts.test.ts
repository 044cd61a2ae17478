import { expect, it } from 'vitest';
import { fakeHostStream } from '../../test/host-stream.ts';
import { createAwayHosts } from './away-hosts.ts';
import { createHosts } from './hosts.ts';

const minute = 60_000;
it('a host that left is missed after two minutes, until it is back, elsewhere, or away for a day', () => {
  let now = 0;
  const elsewhere = new Set<string>();
  const away = createAwayHosts(
    hostId => elsewhere.has(hostId),
    () => now,
  );
  const hosts = createHosts(away);
  const [a, b, c] = [fakeHostStream('a'), fakeHostStream('b'), fakeHostStream('c')];
  for (const one of [a, b, c]) hosts.add(one);
  hosts.remove(a);
  now = minute;
  for (const one of [b, c]) hosts.remove(one);
  expect(away.list()).toEqual([]);
  now = 3 * minute;
  const [first, second, third] = [
    { hostId: 'a', since: 0 },
    { hostId: 'b', since: minute },
    { hostId: 'c', since: minute },
  ];
  expect(away.list()).toEqual([first, second, third]);
  hosts.add(fakeHostStream('b'));
  elsewhere.add('c');
  expect(away.list()).toEqual([first]);
  now = 24 * 60 * minute;
  expect(away.list()).toEqual([]);
});

it('a stream that another has replaced has not left', () => {
  let now = 0;
  const away = createAwayHosts(
    () => false,
    () => now,
  );
  const hosts = createHosts(away);
  const former = fakeHostStream('a');
  hosts.add(former);
  hosts.add(fakeHostStream('a'));
  hosts.remove(former);
  now = 10 * minute;
  expect(away.list()).toEqual([]);
});

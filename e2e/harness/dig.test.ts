import { startDnsmasq } from '@coold/testbed';
import { createNetns } from '@coold/testbed/netns';
import { expect, test } from 'vitest';
import { addressesIn, parseDig } from './dig.ts';

test('parses the output of dig', async () => {
  await using cleanup = new AsyncDisposableStack();
  const netns = await createNetns();
  cleanup.defer(() => netns.close());
  await netns.exec('ip', ['address', 'add', '10.77.0.1/32', 'dev', 'lo']);
  const records = ['--host-record=two.test,192.0.2.2', '--host-record=two.test,192.0.2.1'];
  const server = ['--port=53', '--listen-address=10.77.0.1', '--local=/test/', '--local-ttl=7'];
  cleanup.use(await startDnsmasq([...server, ...records], netns.pid));
  const names = ['Two.Test', 'A', 'two.test', 'AAAA', 'none.test', 'A'];
  const { stdout } = await netns.exec('dig', ['@10.77.0.1', ...names]);
  const [two, empty, missing, ...rest] = parseDig(stdout);
  expect(rest).toEqual([]);
  expect(two).toMatchObject({ rcode: 'NOERROR', question: 'Two.Test.' });
  expect(two?.flags).toContain('aa');
  expect(two?.answers[0]).toMatchObject({ ttl: 7, type: 'A' });
  expect(two && addressesIn(two)).toEqual(['192.0.2.1', '192.0.2.2']);
  expect(empty).toMatchObject({ rcode: 'NOERROR', question: 'two.test.', answers: [] });
  expect(missing).toMatchObject({ rcode: 'NXDOMAIN', answers: [] });
});

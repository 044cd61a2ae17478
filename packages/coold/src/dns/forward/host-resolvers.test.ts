import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { readHostResolvers } from './host-resolvers.ts';

it("a host's own resolvers: those of its resolv.conf, or those behind systemd-resolved, never ourselves", async () => {
  await using folder = await scratchFolder();
  const paths = { host: join(folder.path, 'resolv.conf'), behindStub: join(folder.path, 'behind') };
  const read = async () =>
    (await readHostResolvers(['10.210.0.1'], paths)).map(({ host, port }) => `${host} ${port}`);
  expect(await read()).toEqual([]);
  await writeFile(paths.host, 'nameserver 10.0.0.2\nnameserver 10.210.0.1\nnameserver 10.0.0.3\n');
  expect(await read()).toEqual(['10.0.0.2 53', '10.0.0.3 53']);
  await writeFile(paths.host, 'nameserver 127.0.0.53\noptions edns0 trust-ad\n');
  expect(await read()).toEqual(['127.0.0.53 53']);
  await writeFile(paths.behindStub, 'nameserver 10.0.0.4\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n');
  expect(await read()).toEqual(['10.0.0.4 53', '2001:db8::1 53']);
});

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createGossipServer, followPeer } from './gossip.ts';
import { openStore } from './store.ts';

const schema = "CREATE TABLE services (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL DEFAULT '')";

test('a connect that hangs, as one into a partition does, is given up and tried again soon', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'coold-gossip-'));
  const [a, b] = [openStore(join(folder, 'a'), schema), openStore(join(folder, 'b'), schema)];
  const server = createGossipServer(a).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = new AbortController();
  let attempts = 0;
  const following = followPeer({ host: 'peer', port }, b, stop.signal, () => {
    attempts += 1;
    // An address that never comes keeps a socket connecting for good.
    return attempts === 1 ? connect({ host: 'peer', port, lookup: () => {} }) : connect(port, '127.0.0.1');
  });
  try {
    a.transact([{ sql: "INSERT INTO services (id) VALUES ('s')", params: [] }]);
    const ids = () => b.read({ sql: 'SELECT id FROM services', params: [] }).rows;
    await expect.poll(ids, { timeout: 5000 }).toEqual([['s']]);
    expect(attempts).toBe(2);
  } finally {
    stop.abort();
    await following;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
    a.close();
    b.close();
    rmSync(folder, { recursive: true });
  }
});

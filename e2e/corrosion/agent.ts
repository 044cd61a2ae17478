import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { createApiServer } from './api.ts';
import type { AgentConfig, Endpoint } from './config.ts';
import { createGossipServer, followPeer } from './gossip.ts';
import { readSchemas } from './schema.ts';
import { openStore } from './store.ts';

/**
 * A stand-in for Corrosion's agent where that program is not at hand: the same HTTP API and the same convergence (rows
 * written on one host appear on all, per column the last writer wins), over a gossip of its own. Node's builtins only, so
 * that its files run on a host as they are.
 */
export interface Agent {
  api: Endpoint;
  gossip: Endpoint;
  /** Follows one more peer. */
  join(peer: Endpoint): void;
  /** Safe to call again. */
  close(): Promise<void>;
}

/** @throws Error when the schema cannot be replicated or an address not be bound */
export async function startAgent(config: AgentConfig): Promise<Agent> {
  mkdirSync(dirname(config.dbPath), { recursive: true });
  const store = openStore(config.dbPath, readSchemas(config.schemaPaths));
  const api = createApiServer(store, config.bearerToken);
  const gossip = createGossipServer(store);
  const stop = new AbortController();
  const following: Promise<void>[] = [];
  const join = (peer: Endpoint) => void following.push(followPeer(peer, store, stop.signal));
  const shutDown = async () => {
    stop.abort();
    await Promise.all([shut(api), shut(gossip), ...following]);
    store.close();
  };
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= shutDown();
    return closed;
  };
  try {
    const bound = { api: await listen(api, config.api), gossip: await listen(gossip, config.gossip) };
    for (const peer of config.bootstrap) join(peer);
    return { ...bound, join, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function listen(server: Server, { host, port }: Endpoint): Promise<Endpoint> {
  server.listen(port, host);
  await once(server, 'listening');
  return { host, port: (server.address() as AddressInfo).port };
}

async function shut(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

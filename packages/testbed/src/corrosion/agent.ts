import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { createApiServer } from './api.ts';
import type { AgentConfig, Endpoint } from './config.ts';
import { createGossipServer, followPeer } from './gossip.ts';
import { toJson } from './ndjson.ts';
import { readSchemas, schemaOf } from './schema.ts';
import { openStore, type Store } from './store.ts';
import { createSubscriptions, type KeptSubscription, type SubscriptionsOptions } from './subscription.ts';

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

/**
 * @param options.onRejected told of a schema that cannot be replicated: the agent runs with the tables that it had before
 * @throws Error when an address cannot be bound
 */
export async function startAgent(
  config: AgentConfig,
  {
    batchMs,
    onRejected,
  }: Pick<SubscriptionsOptions, 'batchMs'> & { onRejected?: (why: string) => void } = {},
): Promise<Agent> {
  const folder = dirname(config.dbPath);
  mkdirSync(folder, { recursive: true });
  const store = openStoreAnyway(config, onRejected);
  const keptPath = `${config.dbPath}.subscriptions`;
  const subscriptions = createSubscriptions(store, {
    ...(batchMs === undefined ? {} : { batchMs }),
    kept: takeKept(keptPath),
  });
  const api = createApiServer(store, subscriptions, config.bearerToken);
  const gossip = createGossipServer(store);
  const stop = new AbortController();
  const following: Promise<void>[] = [];
  const join = (peer: Endpoint) => void following.push(followPeer(peer, store, stop.signal));
  const shutDown = async () => {
    stop.abort();
    await Promise.all([shut(api), shut(gossip), ...following]);
    writeFileSync(keptPath, toJson(subscriptions.close()));
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

function openStoreAnyway({ dbPath, schemaPaths }: AgentConfig, onRejected?: (why: string) => void): Store {
  try {
    return openStore(dbPath, readSchemas(schemaPaths));
  } catch (error) {
    onRejected?.((error as Error).message);
    return openStore(dbPath, schemaOf(dbPath));
  }
}

/** What an orderly stop has left; a crash leaves nothing. */
function takeKept(path: string): KeptSubscription[] {
  if (!existsSync(path)) return [];
  const text = readFileSync(path, 'utf8');
  rmSync(path);
  return JSON.parse(text) as KeptSubscription[];
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

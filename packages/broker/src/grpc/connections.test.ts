import type { Http2Session } from 'node:http2';
import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { expect, it, vi } from 'vitest';
import { createConnections } from './connections.ts';

const log = createLogger('broker', logFilter.parse('off') ?? expect.fail(), false);

it('ignores a session whose connection has already closed', () => {
  const keepalive = { everyMs: 30_000, timeoutMs: 10_000 };
  const connections = createConnections({ keepalive, idleMs: 1000, maxIdle: 10, log });
  // A stand-in: the moment between a handshake and its end cannot be hit at will.
  const session = { socket: undefined, destroy: vi.fn() } as unknown as Http2Session;
  connections.spoke(session);
  expect(session.destroy).toHaveBeenCalledOnce();
  expect(connections.placeOf(session)).toBeUndefined();
  expect(connections.counts()).toEqual({ open: 0, idle: 0 });
  connections.close();
});

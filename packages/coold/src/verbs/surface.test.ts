import { HelloSchema, ListContainersReqSchema, readVerbs } from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { silent } from '../../test/caller.ts';
import { idleDns } from '../../test/dns-questions.ts';
import { noFirewall, undenied, unserved } from '../../test/no-firewall.ts';
import { handler } from '../handler.ts';
import { createPodman } from '../podman/client.ts';
import { cooldHandlers } from './coold.ts';
import { dnsHandlers } from './dns.ts';
import { explainHandlers } from './explain.ts';
import { hostEventHandlers } from './host-events.ts';
import { hostJwtHandlers } from './host-jwt.ts';
import { meshHandlers } from './mesh.ts';
import { serviceHandlers } from './services.ts';
import { joinSurface } from './surface.ts';
import { verbHandlers } from './verbs.ts';

const verbs = readVerbs();
const podman = createPodman('/nowhere/podman.sock');
const handlers = {
  ...verbHandlers(podman, {
    version: '1.0.0',
    allowedMountSources: [],
    mesh: { hostMgmtIp: '100.64.0.1', namespaces: [], zone: 'coolify.internal' },
    ...unserved,
    firewall: noFirewall,
    namespaceNetworks: undenied(podman.networks),
    log: silent,
  }),
  ...serviceHandlers({} as never),
  ...explainHandlers({} as never),
  ...meshHandlers({} as never),
  ...cooldHandlers({} as never),
  ...hostEventHandlers({} as never),
  ...hostJwtHandlers('/nosuch', () => {}),
  ...dnsHandlers(idleDns()),
};

describe('the closed set', () => {
  it('joins every verb of the .proto with its handler', () => {
    const surface = joinSurface(verbs, handlers);
    expect([...surface.values()].map(({ verb }) => verb.name)).toEqual([...verbs.keys()]);
    expect([...surface.keys()]).toContain('listContainers');
  });

  it('has no verb without a handler', () => {
    expect(() => joinSurface(verbs, {})).toThrow(/list_containers has no handler/);
  });

  it('has no handler without a verb', () => {
    const extra = handler(HelloSchema, HelloSchema, () => Promise.resolve({}));
    expect(() => joinSurface(verbs, { ...handlers, extra })).toThrow(/extra has no verb/);
  });

  it('has no handler for other messages', () => {
    const wrong = handler(ListContainersReqSchema, HelloSchema, () => Promise.resolve({}));
    expect(() => joinSurface(verbs, { ...handlers, list_containers: wrong })).toThrow(/other messages/);
  });

  it('streams what the .proto says, and nothing else', () => {
    const logs = handlers['containers.logs'] ?? expect.fail();
    const { stream, ...bounded } = logs;
    expect(() => joinSurface(verbs, { ...handlers, 'containers.logs': bounded })).toThrow(
      /containers.logs cannot stream/,
    );
    const list = { ...(handlers['list_containers'] ?? expect.fail()), ...(stream && { stream }) };
    expect(() => joinSurface(verbs, { ...handlers, list_containers: list })).toThrow(
      /list_containers streams/,
    );
  });
});

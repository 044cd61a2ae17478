import { parseConfig } from '@coold/runtime';
import { expect, it } from 'vitest';
import { brokerCommand } from './config.ts';

const parse = (env: Record<string, string>) => parseConfig(brokerCommand, { argv: [], env, version: '1' });

it("understands every variable of coolify init's scheduler, or says that it ignores it", () => {
  expect(
    parse({
      SCHEDULER_GRPC_BIND: '100.64.0.1:6443',
      SCHEDULER_UNIX_SOCKET_PATH: '/run/coolify/scheduler.sock',
      SCHEDULER_JWT_PUBLIC_KEY_PATH: '/etc/coolify/scheduler.pub',
    }),
  ).toMatchObject({
    config: {
      grpcBind: { host: '100.64.0.1', port: 6443 },
      unixSocketPath: '/run/coolify/scheduler.sock',
      jwtPublicKeyPath: '/etc/coolify/scheduler.pub',
    },
    unknownEnv: [],
    overruled: [],
  });
});

it('understands the names of newer programs of Coolify, TLS among them, and names what it does not', () => {
  expect(
    parse({
      COOLIFY_FLUX_TLS_CERT_PATH: '/c',
      COOLIFY_FLUX_TLS_KEY_PATH: '/k',
      COOLIFY_FLUX_PENDING_MAX: '7',
      COOLIFY_FLUX_REQUIRE_TEAM_ID: '1',
      BROKER_PENDING_MAX: '8',
    }),
  ).toMatchObject({
    config: { tlsCert: '/c', tlsKey: '/k', pendingMax: 8 },
    unknownEnv: ['COOLIFY_FLUX_REQUIRE_TEAM_ID'],
    overruled: [{ name: 'COOLIFY_FLUX_PENDING_MAX', by: 'BROKER_PENDING_MAX' }],
  });
});

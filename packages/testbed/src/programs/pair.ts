import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { type Program, type ProgramOptions, programs, startScript } from './program.ts';

/** Keys, token and addresses with which a broker and a coold find each other in one folder. */
export interface Pairing {
  hostId: string;
  socketPath: string;
  /** The token of coold's REST API, which listens on a port of 127.0.0.1 that its log names. */
  apiToken: string;
  /** A token for another host. */
  mint(hostId: string, caps: readonly string[]): Promise<string>;
  startBroker(options?: ProgramOptions): Program;
  startCoold(options?: ProgramOptions): Program;
}

export interface PairingOptions {
  /** The folder of keys, token and socket. It is created when missing. */
  folder: string;
  hostId: string;
  /** The broker's gRPC port on 127.0.0.1. */
  port: number;
  podmanSocket: string;
  /** The main modules of the programs. Default: their sources. */
  scripts?: Record<'broker' | 'coold', string>;
}

/** Makes the keys and the token, with the broker's own commands. */
export async function createPairing({
  folder,
  hostId,
  port,
  podmanSocket,
  scripts = programs,
}: PairingOptions): Promise<Pairing> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = (name: string) => join(folder, name);
  await runBroker('keygen', '--private', file('jwt.key'), '--public', file('jwt.pub'));
  const mint = (id: string, caps: readonly string[]) =>
    runBroker('token', '--key', file('jwt.key'), '--host-id', id, '--ttl', '1d', '--caps', caps.join(','));
  const token = await mint(hostId, ['coold']);
  await writeFile(file('host-jwt'), token, { mode: 0o600 });
  const apiToken = randomBytes(32).toString('hex');
  await writeFile(file('api-token'), apiToken, { mode: 0o600 });
  const socketPath = file('broker.sock');
  let started = 0;
  return {
    hostId,
    socketPath,
    apiToken,
    mint,
    startBroker: (options = {}) =>
      startScript(scripts.broker, {
        ...options,
        env: {
          BROKER_GRPC_BIND: `127.0.0.1:${port}`,
          BROKER_JWT_PUBLIC_KEY_PATH: file('jwt.pub'),
          BROKER_UNIX_SOCKET_PATH: socketPath,
          ...options.env,
        },
      }),
    startCoold(options = {}) {
      started += 1;
      return startScript(scripts.coold, {
        ...options,
        env: {
          COOLD_HOST_MGMT_IP: '127.0.0.1',
          COOLD_BROKER_URL: `grpc://127.0.0.1:${port}/v1/agent`,
          COOLD_HOST_JWT_PATH: file('host-jwt'),
          COOLD_PODMAN_SOCKET: podmanSocket,
          // An unused port: tests that need Corrosion name their own, and never one that is installed on this machine.
          COOLD_CORROSION_URL: 'http://127.0.0.1:1',
          // Not in /run/coolify, which may be that of a coold installed here; each its own.
          COOLD_UNIX_SOCKET_PATH: file(`coold-${started}.sock`),
          COOLD_API_BIND: '127.0.0.1:0',
          COOLD_API_TOKEN_FILE: file('api-token'),
          // Each its own: two that share theirs would be two coolds of one host, and the second would not start.
          COOLD_RULES_PATH: file(`firewall-${started}/allow.rules`),
          COOLD_BRIDGE_RULES_PATH: file(`firewall-${started}/allow.nft`),
          ...options.env,
        },
      });
    },
  };
}

async function runBroker(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runChild(process.execPath, [programs.broker, ...args], {
    timeoutMs: 20_000,
  });
  if (code !== 0) throw new Error(`broker ${args[0]} failed: ${stderr}`);
  return stdout.trim();
}

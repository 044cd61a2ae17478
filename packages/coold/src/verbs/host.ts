import { loadavg, release, uptime } from 'node:os';
import {
  HostContainersRequestSchema,
  HostContainersResponseSchema,
  HostInfoRequestSchema,
  HostInfoResponseSchema,
  HostStatsRequestSchema,
  HostStatsResponseSchema,
} from '@coold/proto';
import { readDisk, readMemory, readPeers, wireguardInterface } from '../discovery/hosts/host-facts.ts';
import { type Handler, handler } from '../handler.ts';
import type { PodmanHost } from '../podman/host.ts';

/** The host verbs. @param version coold's own */
export function hostHandlers(podman: PodmanHost, version: string): Record<string, Handler> {
  return {
    'host.info': handler(HostInfoRequestSchema, HostInfoResponseSchema, async (_request, signal) => {
      const [facts, memory, peers] = await Promise.all([
        podman.facts(signal),
        readMemory(),
        readPeers(wireguardInterface, signal),
      ]);
      return {
        coold: { version, uptimeS: process.uptime() },
        podman: facts,
        kernel: release(),
        load: loadavg(),
        memory,
        disk: await readDisk(facts.graphRoot),
        uptimeS: uptime(),
        wireguard: {
          interface: wireguardInterface,
          peers: (peers ?? []).map(({ lastHandshakeS, keepaliveS: _, ...peer }) =>
            lastHandshakeS === undefined ? peer : { ...peer, lastHandshakeS },
          ),
        },
      };
    }),
    'host.containers': handler(
      HostContainersRequestSchema,
      HostContainersResponseSchema,
      async (_request, signal) => ({ containers: await podman.containers(signal) }),
    ),
    'host.stats': handler(HostStatsRequestSchema, HostStatsResponseSchema, async (_request, signal) => ({
      containers: await podman.stats(signal),
    })),
  };
}

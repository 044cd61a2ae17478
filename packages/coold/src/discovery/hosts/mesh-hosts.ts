import { type Corrosion, isMissingTable, type Statement } from '@coold/corrosion';

/** The other hosts of the mesh, and the rows of dead ones. */
export interface MeshHosts {
  /**
   * Removes every row of a host that will not come back. This is the only case in which coold removes rows that are not
   * its own (docs/contract.md §5).
   *
   * @returns `seen` when the host may be alive: nothing was removed then
   * @throws CorrosionError
   */
  forget(hostMgmtIp: string, signal: AbortSignal): Promise<'forgotten' | 'seen'>;
}

/** The tables with rows of a host. The heartbeat comes last. */
const tables = ['service_registrations', 'service_endpoints', 'host_pools', 'host_seen'] as const;

export function createMeshHosts(options: {
  corrosion: Corrosion;
  hostMgmtIp: string;
  /** Whether a host has published a heartbeat recently. */
  isSeen(hostMgmtIp: string): boolean;
  /** Returns the heartbeat in a host's row, as far as it was reported to this host. */
  lastWord(hostMgmtIp: string): number | undefined;
  /** Whether WireGuard has a peer for the host. */
  hasPeer(hostMgmtIp: string): boolean;
}): MeshHosts {
  const { corrosion, hostMgmtIp: own, isSeen, lastWord, hasPeer } = options;
  return {
    async forget(host, signal) {
      if (host === own || isSeen(host)) return 'seen';
      const word = await readWord(host, signal);
      // A heartbeat that was not reported to this host yet: right after its start, or while changes are not reported.
      if (word !== undefined && word !== lastWord(host)) return 'seen';
      // Hosts of older versions never send heartbeats; for one that is alive, WireGuard still has a peer.
      if (word === undefined && hasPeer(host)) return 'seen';
      for (const table of tables) {
        const statement: Statement = [`DELETE FROM ${table} WHERE host_mgmt_ip = ?`, [host]];
        try {
          await corrosion.execute([statement], signal);
        } catch (error) {
          if (table === 'service_endpoints' || !isMissingTable(error)) throw error;
        }
      }
      return 'forgotten';
    },
  };

  /** Reads a host's heartbeat; undefined when it never sent one. */
  async function readWord(host: string, signal: AbortSignal): Promise<unknown> {
    let word: unknown;
    const onRow = ([seenAt]: unknown[]) => {
      word = seenAt;
    };
    try {
      await corrosion.query(['SELECT seen_at FROM host_seen WHERE host_mgmt_ip = ?', [host]], onRow, signal);
    } catch (error) {
      if (!isMissingTable(error)) throw error;
    }
    return word;
  }
}

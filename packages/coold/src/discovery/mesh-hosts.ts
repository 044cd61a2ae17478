import { type Corrosion, isMissingTable, type Statement } from '@coold/corrosion';

/** The other hosts of the mesh, and what a dead one left behind. */
export interface MeshHosts {
  /**
   * Removes every row of a host that will not come back. It is the only case in which coold removes rows that are not its
   * own (docs/contract.md §5).
   *
   * @returns `seen` when the host may live: nothing was removed then
   * @throws CorrosionError
   */
  forget(hostMgmtIp: string, signal: AbortSignal): Promise<'forgotten' | 'seen'>;
}

/** All of a host's rows, the one that says that it lives last. */
const tables = ['service_registrations', 'service_endpoints', 'host_seen'] as const;

export function createMeshHosts(options: {
  corrosion: Corrosion;
  hostMgmtIp: string;
  /** Whether a host has said lately that it lives. */
  isSeen(hostMgmtIp: string): boolean;
  /** Whether WireGuard has a peer for it. */
  hasPeer(hostMgmtIp: string): boolean;
}): MeshHosts {
  const { corrosion, hostMgmtIp: own, isSeen, hasPeer } = options;
  return {
    async forget(host, signal) {
      if (host === own || isSeen(host)) return 'seen';
      // Hosts of older versions never say that they live; the mesh still has a peer for one that does.
      if (hasPeer(host) && !(await hasSaid(host, signal))) return 'seen';
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

  /** Whether a host has ever said that it lives. */
  async function hasSaid(host: string, signal: AbortSignal): Promise<boolean> {
    let isThere = false;
    const onRow = () => {
      isThere = true;
    };
    try {
      await corrosion.query(['SELECT 1 FROM host_seen WHERE host_mgmt_ip = ?', [host]], onRow, signal);
    } catch (error) {
      if (!isMissingTable(error)) throw error;
    }
    return isThere;
  }
}

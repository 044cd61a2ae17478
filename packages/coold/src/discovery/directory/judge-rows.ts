import { type Endpoint, isAnswerable } from '../endpoint.ts';
import { insideOf, type Reach } from '../hosts/reach.ts';
import type { LeftOutReason, NamedAddress } from './directory.ts';

/**
 * Judges whether this host can reach other hosts' rows. Its own rows always count. Rows are judged when they are added
 * and whenever this knowledge changes, so a question costs no judgement.
 */
export class RowJudge {
  readonly #hostMgmtIp: string;
  /** What the mesh's interface leads to; undefined until it was read, and then everything may be reached. */
  #reach: Reach | undefined;
  #isOwnNetwork: (address: string) => boolean = () => false;
  #isMeshNetwork: (address: string) => boolean = () => false;
  #gone: ReadonlySet<string> = new Set();
  /** Increases whenever other rows may be unreachable. */
  reachVersion = 0;

  /** @param hostMgmtIp this host */
  constructor(hostMgmtIp: string) {
    this.#hostMgmtIp = hostMgmtIp;
  }

  setReach(reach: Reach): void {
    this.#reach = reach;
    this.reachVersion += 1;
  }

  setOwnNetworks(networks: readonly string[]): void {
    this.#isOwnNetwork = insideOf(networks);
    this.reachVersion += 1;
  }

  setMeshNetworks(isMesh: (address: string) => boolean): void {
    this.#isMeshNetwork = isMesh;
  }

  setGone(hosts: ReadonlySet<string>): void {
    this.#gone = hosts;
  }

  /** Returns the hosts that were not seen for too long. */
  gone(): ReadonlySet<string> {
    return this.#gone;
  }

  /**
   * Whether packets to another host's row would not leave for that host: they go nowhere, or to a container of this
   * host.
   */
  isUnreachable(row: NamedAddress): boolean {
    return (
      row.hostMgmtIp !== this.#hostMgmtIp &&
      (this.#isOwnNetwork(row.address) ||
        (this.#reach !== undefined && !this.#reach(row.address, row.hostMgmtIp)))
    );
  }

  /** Whether an otherwise answerable row is left out: it cannot be reached, or its host is gone. */
  isLeftOut(row: NamedAddress): boolean {
    return this.#isGone(row) || this.isUnreachable(row);
  }

  /** Whether an address belongs to the mesh, also when no container has it. */
  isMesh(address: string): boolean {
    return this.#isMeshNetwork(address) || (this.#reach?.(address) ?? false);
  }

  /** Returns why a row is not answered; undefined when it is. */
  reasonOf(row: Endpoint): LeftOutReason | undefined {
    if (row.state !== 'running') return 'not_running';
    if (row.health !== 'healthy' && row.health !== 'unknown') return 'unhealthy';
    if (!isAnswerable(row)) return 'no_address';
    if (this.#isGone(row)) return 'host_gone';
    return this.isUnreachable(row) ? 'unreachable' : undefined;
  }

  #isGone(row: NamedAddress): boolean {
    return row.hostMgmtIp !== this.#hostMgmtIp && this.#gone.has(row.hostMgmtIp);
  }
}

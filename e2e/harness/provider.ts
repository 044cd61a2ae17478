/**
 * What scenarios see of the hosts they run on: real machines with systemd, Podman, netfilter and WireGuard, made by a
 * provider and gone with it. A scenario that runs on one provider runs on any.
 */
export interface Provider {
  name: string;
  /**
   * Brings up hosts side by side and resolves when systemd has finished booting on each, in the order of `wanted`. May
   * be called again for more hosts.
   *
   * @param wanted one host each; a name alone asks for a host of the provider's own choice of system
   * @throws HarnessError naming the cause; a host that did not come up takes the provider with it: all is gone then
   */
  up(wanted: readonly (string | HostOrder)[]): Promise<Host[]>;
  /** Everything of this provider is gone: hosts, disks, networks. Safe to call again. */
  close(): Promise<void>;
}

/** Systems that hosts can run. */
export const hostSystems = ['debian-12', 'debian-13'] as const;
export type HostSystem = (typeof hostSystems)[number];

/** A host that is wanted. */
export interface HostOrder {
  /** A DNS label of at most 12 characters. */
  name: string;
  /** Default: the provider's choice. */
  system?: HostSystem | undefined;
  /**
   * A folder of this machine that the host sees at the same path; what the host writes there vanishes with it. For hosts
   * of the lab alone.
   */
  share?: string;
}

/** What is wanted, in its full form. Pure. */
export function asOrder(wanted: string | HostOrder): HostOrder {
  return typeof wanted === 'string' ? { name: wanted } : wanted;
}

export interface Host {
  name: string;
  /** IPv4 address on the network that carries the mesh; the same after a reboot. */
  address: string;
  /** Runs a program as root, by argument vector; a non-zero exit is a result and does not reject. */
  exec(argv: readonly [string, ...string[]], options?: ExecOptions): Promise<ExecResult>;
  /** Writes a file whole, with its parent folders, in place of what was there. */
  put(source: FileSource, remotePath: string, mode: number): Promise<void>;
  get(remotePath: string): Promise<Buffer>;
  /** The journal, of one unit or of all, of every boot; readable also while the host is down. */
  journal(unit?: string): Promise<string>;
  /** The host's link is down: a partition, in which its processes live on. */
  cut(): Promise<void>;
  heal(): Promise<void>;
  /** Power is lost: every process is killed at once, the disk stays. */
  crash(): Promise<void>;
  /** Starts after `crash`, with the same disk; resolves when systemd has finished booting. */
  boot(): Promise<void>;
  /** An orderly reboot, as `systemctl reboot` does it. */
  reboot(): Promise<void>;
}

export interface ExecOptions {
  input?: string | Uint8Array;
  /** The program and what it started are killed after this long and the promise rejects. Default 60 s. */
  timeoutMs?: number;
  env?: Record<string, string>;
  /** Kept of each of stdout and stderr; default 8 MiB. */
  maxOutputBytes?: number;
}

export interface ExecResult {
  /** null when a signal ended the program. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Bytes, text, or a file of this machine. */
export type FileSource = string | Uint8Array | { file: string };

/** What keeps the harness from doing what it was asked; the message is one line that names the cause. */
export class HarnessError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'HarnessError';
  }
}

/**
 * Runs a program that has to succeed and returns its stdout.
 *
 * @throws HarnessError with the host, the program and what it said
 */
export async function expectExec(
  host: Pick<Host, 'name' | 'exec'>,
  argv: readonly [string, ...string[]],
  options?: ExecOptions,
): Promise<string> {
  const { code, stdout, stderr } = await host.exec(argv, options);
  if (code === 0) return stdout;
  const said = (stderr.trim() || stdout.trim() || 'it said nothing').replaceAll(/\s*\n\s*/g, ' | ');
  throw new HarnessError(`${host.name}: ${argv.join(' ')} failed (${code ?? 'signal'}): ${said.slice(-600)}`);
}

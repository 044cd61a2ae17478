/**
 * A source of hosts for scenarios: real machines with systemd, Podman, netfilter and WireGuard, which the provider
 * creates and removes. A scenario that runs on one provider runs on any.
 */
export interface Provider {
  name: string;
  /**
   * Creates hosts concurrently and resolves when systemd has finished booting on each, in the order of `wanted`. It may
   * be called again for more hosts.
   *
   * @param wanted one entry per host; a name alone leaves the system to the provider
   * @throws HarnessError naming the cause; when one host fails, the provider removes all of them
   */
  up(wanted: readonly (string | HostOrder)[]): Promise<Host[]>;
  /** Removes everything of this provider: hosts, disks, networks. Safe to call again. */
  close(): Promise<void>;
}

/** Systems that hosts can run. */
export const hostSystems = ['debian-12', 'debian-13'] as const;
export type HostSystem = (typeof hostSystems)[number];

/** A request for a host. */
export interface HostOrder {
  /** A DNS label of at most 12 characters. */
  name: string;
  /** Default: the provider's choice. */
  system?: HostSystem | undefined;
  /**
   * A folder of this machine that the host sees at the same path; the host's writes there disappear with it. Only for
   * lab hosts.
   */
  share?: string;
}

/** Returns the full form of a request. Pure. */
export function asOrder(wanted: string | HostOrder): HostOrder {
  return typeof wanted === 'string' ? { name: wanted } : wanted;
}

export interface Host {
  name: string;
  /** IPv4 address on the network under the mesh; a reboot keeps it. */
  address: string;
  /** Runs a program as root, by argument vector; a non-zero exit code is a result and does not reject. */
  exec(argv: readonly [string, ...string[]], options?: ExecOptions): Promise<ExecResult>;
  /** Writes a complete file, with its parent folders, replacing an existing one. */
  put(source: FileSource, remotePath: string, mode: number): Promise<void>;
  get(remotePath: string): Promise<Buffer>;
  /** Returns the journal of one unit or of all, of every boot; also readable while the host is off. */
  journal(unit?: string): Promise<string>;
  /** Sets the host's link down: a partition in which its processes live on. */
  cut(): Promise<void>;
  heal(): Promise<void>;
  /** Cuts the power: every process is killed at once, the disk stays. */
  crash(): Promise<void>;
  /** Boots after `crash` with the same disk; resolves when systemd has finished booting. */
  boot(): Promise<void>;
  /** Reboots in an orderly way, like `systemctl reboot`. */
  reboot(): Promise<void>;
}

export interface ExecOptions {
  input?: string | Uint8Array;
  /** After this many ms the program and its children are killed and the promise rejects. Default 60 s. */
  timeoutMs?: number;
  env?: Record<string, string>;
  /** Limit for each of stdout and stderr; default 8 MiB. */
  maxOutputBytes?: number;
}

export interface ExecResult {
  /** null when a signal ended the program. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Bytes, text, or the path of a file on this machine. */
export type FileSource = string | Uint8Array | { file: string };

/** The harness could not do what it was asked; the message is one line that names the cause. */
export class HarnessError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'HarnessError';
  }
}

/**
 * Runs a program that has to succeed and returns its stdout.
 *
 * @throws HarnessError with the host, the program and its output
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

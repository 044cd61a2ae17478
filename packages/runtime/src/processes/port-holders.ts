import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** A program that listens on an address and port that we want. */
export interface PortHolder {
  protocol: 'udp' | 'tcp';
  /** As the kernel writes it; "0.0.0.0" or "::" for all addresses. */
  address: string;
  /** Undefined when we may not see the owner, or the process is in another PID namespace or has ended. */
  process: Process | undefined;
  /** When the process is unknown: running programs that usually hold this port. */
  suspects: readonly Process[];
}

interface Process {
  pid: number;
  name: string;
}

/** Programs that usually hold port 53, and what the operator can do about each. */
const advice: Record<string, string> = {
  'aardvark-dns': "Podman's own resolver; recreate the network with --disable-dns",
  'systemd-resolve': 'systemd-resolved; see DNSStubListener= and DNSStubListenerExtra= in resolved.conf',
  dnsmasq: 'give it bind-interfaces or except-interface, or end it',
  named: 'give it listen-on without this address',
  unbound: 'give it interface: without this address',
  coold: 'another coold runs on this host',
};

/** Describes who holds the port and what to do, for a log line. */
export function describeHolder({ protocol, address, process, suspects }: PortHolder): string {
  const place = `on ${protocol} ${address}`;
  if (process !== undefined) {
    const hint = advice[process.name];
    return `${process.name} (pid ${process.pid}) ${place}${hint === undefined ? '' : `: ${hint}`}`;
  }
  const unseen = `a process that cannot be seen ${place}`;
  if (suspects.length === 0) return unseen;
  const named = suspects.map(({ pid, name }) => `${name} (pid ${pid}): ${advice[name]}`);
  return `${unseen}; running here: ${named.join('; ')}`;
}

/**
 * Returns the other programs that listen on a port of this address or of all addresses; for all addresses, those on any.
 * Never rejects, because it only helps to explain.
 */
export async function findPortHolders(address: string, port: number, proc = '/proc'): Promise<PortHolder[]> {
  const tables = ['udp', 'udp6', 'tcp', 'tcp6'] as const;
  const sockets = await Promise.all(
    tables.map(async table => {
      const text = await readFile(join(proc, 'net', table), 'utf8').catch(() => '');
      const protocol = table.startsWith('udp') ? ('udp' as const) : ('tcp' as const);
      return parseSockets(text)
        .filter(socket => socket.port === port && (protocol === 'udp' || socket.isListening))
        .filter(
          socket =>
            isAny(address) ||
            isAny(socket.address) ||
            [address, `::ffff:${address}`].includes(socket.address),
        )
        .map(socket => ({ protocol, ...socket }));
    }),
  );
  const found = sockets.flat();
  const owners = found.length === 0 ? new Map<string, number>() : await socketOwners(proc);
  // The owner of a socket can be read only with a capability that coold's unit does not have; names of programs can be
  // read without it.
  const suspects = found.every(({ inode }) => owners.has(inode)) ? [] : await findSuspects(proc);
  const holders = await Promise.all(
    found.map(async ({ protocol, address: at, inode }): Promise<PortHolder> => {
      const pid = owners.get(inode);
      const name = pid === undefined ? undefined : await processName(proc, pid);
      return pid === undefined || name === undefined
        ? { protocol, address: at, process: undefined, suspects }
        : { protocol, address: at, process: { pid, name }, suspects: [] };
    }),
  );
  return holders.filter(holder => holder.process?.pid !== process.pid);
}

const isAny = (address: string) => address === '0.0.0.0' || address === '::';

interface SocketLine {
  address: string;
  port: number;
  inode: string;
  isListening: boolean;
}

/** Parses the lines of /proc/net/udp and similar files: `sl local_address rem_address st … inode`. */
function parseSockets(text: string): SocketLine[] {
  return text.split('\n').flatMap(line => {
    const fields = line.trim().split(/\s+/);
    const [local = '', state, inode] = [fields[1], fields[3], fields[9]];
    const match = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local);
    if (match === null || inode === undefined) return [];
    const [, address = '', port = ''] = match;
    return [
      { address: addressText(address), port: Number.parseInt(port, 16), inode, isListening: state === '0A' },
    ];
  });
}

/** The file has 32-bit words in the machine's byte order, which is little-endian wherever coold runs. */
function addressText(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap(word =>
    (word.match(/../g) ?? []).map(pair => Number.parseInt(pair, 16)).reverse(),
  );
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.every(value => value === 0)) return '::';
  const mapped = bytes.slice(0, 12).join() === '0,0,0,0,0,0,0,0,0,0,255,255';
  return mapped ? `::ffff:${bytes.slice(12).join('.')}` : hex;
}

/** Returns process ids by the inode of their sockets. */
async function socketOwners(proc: string): Promise<Map<string, number>> {
  const owners = new Map<string, number>();
  for (const pid of await listPids(proc)) {
    const folder = join(proc, String(pid), 'fd');
    const fds = await readdir(folder).catch(() => []);
    const links = await Promise.all(fds.map(fd => readlink(join(folder, fd)).catch(() => '')));
    for (const link of links) {
      const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
      if (inode !== undefined) owners.set(inode, pid);
    }
  }
  return owners;
}

async function findSuspects(proc: string): Promise<Process[]> {
  const found: Process[] = [];
  for (const pid of await listPids(proc)) {
    const name = await processName(proc, pid);
    if (name !== undefined && Object.hasOwn(advice, name) && pid !== process.pid) found.push({ pid, name });
  }
  return found;
}

async function listPids(proc: string): Promise<number[]> {
  const names = await readdir(proc).catch(() => []);
  return names.filter(name => /^\d+$/.test(name)).map(Number);
}

/**
 * Returns the name of the script for a Node process. `coold status` and similar commands are not the coold that listens.
 */
async function processName(proc: string, pid: number): Promise<string | undefined> {
  const read = (file: string) => readFile(join(proc, String(pid), file), 'utf8').catch(() => undefined);
  const comm = (await read('comm'))?.trim();
  if (comm === undefined || !(comm.startsWith('node') || comm === 'coold')) return comm;
  const argv = (await read('cmdline'))?.split('\0') ?? [];
  const at = argv.findIndex(arg => /\.[cm]?[jt]s$/.test(arg));
  const script = argv[at];
  if (script === undefined) return comm;
  const name = basename(script).replace(/\.[cm]?[jt]s$/, '');
  const command = argv[at + 1] ?? '';
  return name === 'coold' && /^[a-z]/.test(command) ? `coold ${command}` : name;
}

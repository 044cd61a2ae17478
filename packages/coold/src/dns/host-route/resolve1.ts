import { isIP } from 'node:net';
import { ChildError, isObject, runChild } from '@coold/runtime';

/** A link's DNS settings in systemd-resolved. */
export interface LinkDns {
  /** Addresses as texts. */
  servers: readonly string[];
  /** Names without the final dot. resolvectl writes route-only names with a `~`. */
  domains: readonly { name: string; isRouteOnly: boolean }[];
  /** Whether names that match no link's domain are asked here. */
  isDefaultRoute: boolean;
}

/** Calls to systemd-resolved over D-Bus. */
export interface Resolve1 {
  /** @throws Resolve1Error */
  read(ifindex: number): Promise<LinkDns>;
  /** Makes a link ask this IPv4 server for the names of this domain, and for no others. @throws Resolve1Error */
  route(ifindex: number, server: string, domain: string): Promise<void>;
  /** Removes everything that such a call has set on a link. @throws Resolve1Error */
  revert(ifindex: number): Promise<void>;
}

/** systemd-resolved is missing, does not answer, or refuses. */
export class Resolve1Error extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'Resolve1Error';
  }
}

const service = 'org.freedesktop.resolve1';
const root = '/org/freedesktop/resolve1';
/** AF_INET and AF_INET6 of Linux. */
const families = { ipv4: 2, ipv6: 10 };
const callTimeoutMs = 5000;

/**
 * Calls systemd-resolved with `busctl`, which every host with systemd has. This never starts the service, because an
 * operator may have stopped it.
 */
export function createResolve1(): Resolve1 {
  const call = (method: string, signature: string, ...args: readonly string[]) =>
    busctl(['call', service, root, `${service}.Manager`, method, signature, '--', ...args]);
  return {
    async read(ifindex) {
      // busctl's own `get-property` would start the service.
      const all = ['org.freedesktop.DBus.Properties', 'GetAll', 's', `${service}.Link`];
      return parseLink(await busctl(['call', service, linkPath(ifindex), ...all]));
    },
    async route(ifindex, server, domain) {
      const link = String(ifindex);
      // The server comes last: without a server, no unwanted name is asked on this link.
      await call('SetLinkDefaultRoute', 'ib', link, 'false');
      await call('SetLinkDomains', 'ia(sb)', link, '1', domain, 'true');
      await call('SetLinkDNS', 'ia(iay)', link, '1', String(families.ipv4), '4', ...server.split('.'));
    },
    async revert(ifindex) {
      await call('RevertLink', 'i', String(ifindex));
    },
  };
}

/** Returns a link's D-Bus path. A path element cannot begin with a digit, which is written as `_` and its code. */
export function linkPath(ifindex: number): string {
  const [first = '', ...rest] = String(ifindex);
  return `${root}/link/_${first.charCodeAt(0).toString(16)}${rest.join('')}`;
}

/** Parses what `busctl --json=short` prints of a link's properties. @throws Resolve1Error */
export function parseLink(text: string): LinkDns {
  try {
    const [properties] = listOf(memberOf(JSON.parse(text), 'data'));
    const dataOf = (name: string) => memberOf(memberOf(properties, name), 'data');
    const isDefaultRoute = dataOf('DefaultRoute');
    if (typeof isDefaultRoute !== 'boolean') throw new Error('not a boolean');
    return {
      servers: listOf(dataOf('DNS')).map(readServer),
      domains: listOf(dataOf('Domains')).map(readDomain),
      isDefaultRoute,
    };
  } catch (error) {
    throw new Resolve1Error('systemd-resolved lists its links in an unknown form', error);
  }
}

function memberOf(value: unknown, name: string): unknown {
  const member = isObject(value) ? value[name] : undefined;
  if (member === undefined) throw new Error(`no ${name}`);
  return member;
}

function listOf(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new Error('not a list');
  return value;
}

function readServer(value: unknown): string {
  const [family, bytes] = listOf(value);
  const octets = listOf(bytes).map(Number);
  if (octets.some(octet => !Number.isInteger(octet) || octet < 0 || octet > 255))
    throw new Error('not an address');
  const text =
    family === families.ipv4
      ? octets.join('.')
      : octets
          .map(octet => octet.toString(16).padStart(2, '0'))
          .join('')
          .replace(/(.{4})(?!$)/g, '$1:');
  if (isIP(text) === 0) throw new Error('not an address');
  return text;
}

function readDomain(value: unknown): LinkDns['domains'][number] {
  const [name, isRouteOnly] = listOf(value);
  if (typeof name !== 'string' || typeof isRouteOnly !== 'boolean') throw new Error('not a domain');
  return { name: name.replace(/\.$/, ''), isRouteOnly };
}

async function busctl(args: readonly string[]): Promise<string> {
  const options = ['--system', '--json=short', '--auto-start=no', `--timeout=${callTimeoutMs / 1000}`];
  try {
    const { code, stdout, stderr } = await runChild('busctl', [...options, ...args], {
      timeoutMs: callTimeoutMs + 1000,
    });
    if (code === 0) return stdout;
    throw new Resolve1Error(`systemd-resolved: ${stderr.trim() || `busctl: exit ${code}`}`);
  } catch (error) {
    if (error instanceof ChildError) throw new Resolve1Error(error.message, error);
    throw error;
  }
}

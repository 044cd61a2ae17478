import { networkInterfaces } from 'node:os';
import { VerbError } from '@coold/errors';
import { errorMessage, isObject, runChild } from '@coold/runtime';
import { type Cidr, overlap } from '../../firewall/rule/cidr.ts';

/** An IPv4 network that is in use, and a description of its user. */
export interface Claim {
  network: Cidr;
  holder: string;
  /** A route wider than a subnet leaves it free, because the bridge's own route is more specific. */
  kind?: 'route' | 'slice';
}

/** A route of this host, or the network of one of its interfaces. */
export interface HostNetwork {
  network: Cidr;
  kind: 'interface' | 'route';
  /** Undefined for a route without a device. */
  device: string | undefined;
}

/** Returns the first claim that shares an address with a subnet. */
export function collision(subnet: Cidr, claims: readonly Claim[]): Claim | undefined {
  return claims.find(({ network }) => overlap(network, subnet));
}

const ipTimeoutMs = 5000;

/** Returns what this host's interfaces and routes use: its own networks and, through wg0, those of other hosts. */
export async function hostClaims(signal: AbortSignal): Promise<Claim[]> {
  return (await hostNetworks(signal)).map(claimOf);
}

/** The same without descriptions. @throws VerbError 502 when the routes cannot be read */
export async function hostNetworks(signal: AbortSignal): Promise<HostNetwork[]> {
  const interfaces = Object.entries(networkInterfaces()).flatMap(([device, addresses = []]) =>
    addresses.flatMap(({ family, cidr }): HostNetwork[] =>
      family === 'IPv4' && cidr !== null ? [{ network: cidr, kind: 'interface', device }] : [],
    ),
  );
  return [...interfaces, ...(await routes(signal))];
}

function claimOf({ network, kind, device }: HostNetwork): Claim {
  if (kind === 'interface') return { network, holder: `interface ${device}` };
  return { network, holder: `a route${device === undefined ? '' : ` through ${device}`}`, kind: 'route' };
}

/** Without the routes no subnet can be called free. @throws VerbError 502 */
async function routes(signal: AbortSignal): Promise<HostNetwork[]> {
  try {
    const args = ['-json', '-4', 'route', 'show'];
    const { code, stdout, stderr } = await runChild('ip', args, { timeoutMs: ipTimeoutMs, signal });
    if (code !== 0) throw new Error(stderr.trim());
    return readHostRoutes(stdout);
  } catch (error) {
    const why = `this host's routes cannot be read: ${errorMessage(error)}`;
    throw new VerbError('system_failed', why, { cause: error });
  }
}

/** Types of routes that lead nowhere. Operators use them for address space that is not assigned yet. */
const leadingNowhere = ['blackhole', 'unreachable', 'prohibit', 'throw'];

/** Parses `ip -json -4 route show`. The default route and routes that lead nowhere claim nothing. */
export function readRoutes(json: string): Claim[] {
  return readHostRoutes(json).map(claimOf);
}

function readHostRoutes(json: string): HostNetwork[] {
  const parsed: unknown = json.trim() === '' ? [] : JSON.parse(json);
  if (!Array.isArray(parsed)) throw new Error('expected a list');
  return parsed.flatMap((route: unknown) => {
    const { dst, type, dev } = isObject(route) ? route : {};
    if (typeof dst !== 'string') throw new Error('expected a route with a dst');
    if (dst === 'default' || leadingNowhere.some(nowhere => nowhere === type)) return [];
    const network = dst.includes('/') ? dst : `${dst}/32`;
    return [{ network, kind: 'route' as const, device: typeof dev === 'string' ? dev : undefined }];
  });
}

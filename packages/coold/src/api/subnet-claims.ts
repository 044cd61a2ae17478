import { networkInterfaces } from 'node:os';
import { runChild } from '@coold/runtime';
import { type Cidr, covers } from '../firewall/cidr.ts';
import { VerbError } from './verb-error.ts';

/** An IPv4 network that is taken, and by whom, in words. */
export interface Claim {
  network: Cidr;
  holder: string;
}

/** The first claim that shares an address with a subnet. */
export function collision(subnet: Cidr, claims: readonly Claim[]): Claim | undefined {
  return claims.find(({ network }) => covers(network, subnet) || covers(subnet, network));
}

/** What Podman chooses from by itself: from 10.89.0.0/24 to the end of 10.0.0.0/8. */
const firstFree = { second: 89, last: 255 };

/** The first network of 256 addresses that nobody claims. @throws VerbError 409 when there is none */
export function freeSubnet(claims: readonly Claim[]): Cidr {
  for (let second = firstFree.second; second <= firstFree.last; second += 1)
    for (let third = 0; third <= 255; third += 1) {
      const subnet = `10.${second}.${third}.0/24`;
      if (collision(subnet, claims) === undefined) return subnet;
    }
  throw new VerbError(409, 'every network that could be chosen is taken', { field: 'subnet' });
}

const ipTimeoutMs = 5000;

/** What this host's interfaces and routes use: its own networks, and through wg0 those of the other hosts of the mesh. */
export async function hostClaims(signal: AbortSignal): Promise<Claim[]> {
  const interfaces = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.flatMap(({ family, cidr }) =>
      family === 'IPv4' && cidr !== null ? [{ network: cidr, holder: `interface ${name}` }] : [],
    ),
  );
  return [...interfaces, ...(await routes(signal))];
}

/** Not knowing the routes, a subnet cannot be said to be free. @throws VerbError 502 */
async function routes(signal: AbortSignal): Promise<Claim[]> {
  try {
    const args = ['-json', '-4', 'route', 'show'];
    const { code, stdout, stderr } = await runChild('ip', args, { timeoutMs: ipTimeoutMs, signal });
    if (code !== 0) throw new Error(stderr.trim());
    return readRoutes(stdout);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new VerbError(502, `this host's routes cannot be read: ${why}`, { cause: error });
  }
}

/** Reads `ip -json -4 route show`; the default route claims nothing. */
export function readRoutes(json: string): Claim[] {
  const parsed: unknown = json.trim() === '' ? [] : JSON.parse(json);
  if (!Array.isArray(parsed)) throw new Error('expected a list');
  return parsed.flatMap((route: unknown) => {
    if (typeof route !== 'object' || route === null || !('dst' in route) || typeof route.dst !== 'string')
      throw new Error('expected a route with a dst');
    if (route.dst === 'default') return [];
    const through = 'dev' in route && typeof route.dev === 'string' ? ` through ${route.dev}` : '';
    const network = route.dst.includes('/') ? route.dst : `${route.dst}/32`;
    return [{ network, holder: `a route${through}` }];
  });
}

import { isIPv4 } from 'node:net';
import type { NamedAddress } from './directory/directory.ts';

/** A row of `service_endpoints` (docs/contract.md §5). Immutable: a changed row is a new object. */
export interface Endpoint extends NamedAddress {
  readonly name: string;
  readonly namespace: string;
  readonly state: string;
  readonly health: string;
}

/** docs/contract.md §5: `web_1` is valid; a name with a dot or longer than a label has no DNS name. */
const labelPattern = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** Whether a container's name is a valid DNS label. */
export function isDnsLabel(name: string): boolean {
  return labelPattern.test(name);
}

/** docs/contract.md §6: only such a row gives an address. Another host wrote it, so the address may be invalid. */
export function isAnswerable({ address, state, health }: Endpoint): boolean {
  return state === 'running' && (health === 'healthy' || health === 'unknown') && isIPv4(address);
}

/** Whether two rows of one container are equal. */
export function isSameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return (
    a.address === b.address &&
    a.state === b.state &&
    a.health === b.health &&
    a.name === b.name &&
    a.namespace === b.namespace &&
    a.hostMgmtIp === b.hostMgmtIp
  );
}

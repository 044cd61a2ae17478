import { isIPv4, isIPv6 } from 'node:net';
import { VerbError } from '@coold/errors';
import type { Directory } from '../discovery/directory/directory.ts';
import type { Endpoint } from '../discovery/endpoint.ts';
import type { Dns } from '../dns/dns.ts';
import { domainName } from '../dns/zone/names.ts';
import type { PodmanLifecycle } from '../podman/lifecycle.ts';
import { checkName, invalid } from './names.ts';

/** One end of a flow, as a caller names it. */
export interface FlowEnd {
  /** What it may be: one address, or those of a container on several networks. */
  addresses: readonly string[];
  /** Undefined: an address that no container is known to have. */
  container: { id: string; name: string; namespace: string; hostMgmtIp: string; state: string } | undefined;
}

export interface FlowEndsOptions {
  lifecycle: Pick<PodmanLifecycle, 'facts'>;
  directory: Pick<Directory, 'holders' | 'called'>;
  lookUp: Dns['lookUp'];
  zone: string;
  hostMgmtIp: string;
}

export type Field = 'src' | 'dst';

/**
 * Finds who is meant by a container's name, its id, its name in DNS, or an address.
 *
 * @throws VerbError naming the field when no container matches, or several do
 */
export async function readFlowEnd(
  text: string,
  field: Field,
  options: FlowEndsOptions,
  signal: AbortSignal,
): Promise<FlowEnd> {
  if (text === '')
    throw invalid(field, 'expected a container, by its name, its id, its name in DNS or its address');
  if (isIPv4(text)) return ofAddress(text, options);
  if (isIPv6(text.replace(/%.*$/, '')))
    throw invalid(field, `${text} is an IPv6 address, and containers of the mesh have IPv4 alone`);
  if (text.includes('.') && isBelow(text, options.zone)) return await ofDnsName(text, field, options);
  return await ofContainer(checkName(text, field), field, options, signal);
}

const isBelow = (text: string, zone: string) =>
  `.${text.replace(/\.$/, '').toLowerCase()}`.endsWith(`.${zone}`);

function ofAddress(address: string, { directory }: FlowEndsOptions): FlowEnd {
  const rows = directory.holders(address);
  const row = rows.find(({ state }) => state === 'running') ?? rows[0];
  return { addresses: [address], container: row === undefined ? undefined : containerOf(row) };
}

function containerOf({ containerId: id, name, namespace, hostMgmtIp, state }: Endpoint) {
  return { id, name, namespace, hostMgmtIp, state };
}

async function ofDnsName(text: string, field: Field, options: FlowEndsOptions): Promise<FlowEnd> {
  const name = domainName.parse(text);
  if (name === undefined) throw invalid(field, `expected ${domainName.expected}`);
  const { answers, leftOut } = await options.lookUp(name);
  const addresses = [...new Set(answers.map(({ address }) => address))];
  const [address] = addresses;
  if (addresses.length > 1) throw several(field, text, addresses);
  if (address !== undefined) return ofAddress(address, options);
  const [other] = leftOut;
  if (other !== undefined)
    throw new VerbError(
      'container_state',
      `${field}: ${text} is not answered, because its container is ${other.reason.replaceAll('_', ' ')}`,
      { field },
    );
  throw new VerbError(
    'container_not_found',
    `${field}: no container has the name ${text} in the cluster's DNS`,
    { field },
  );
}

async function ofContainer(
  named: string,
  field: Field,
  options: FlowEndsOptions,
  signal: AbortSignal,
): Promise<FlowEnd> {
  const { lifecycle, directory, hostMgmtIp } = options;
  const here = await lifecycle.facts(named, signal).catch((error: unknown) => {
    if (error instanceof VerbError && error.reason === 'container_not_found') return undefined;
    throw error;
  });
  // A row of this host's own container says the same as Podman does, or did a moment ago.
  const rows = directory
    .called(named)
    .filter(row => row.containerId !== here?.id && row.hostMgmtIp !== hostMgmtIp);
  const [row] = rows;
  if (rows.length + (here === undefined ? 0 : 1) > 1)
    throw several(field, named, [
      ...(here === undefined ? [] : [...here.networks.values()]),
      ...rows.map(({ address }) => address),
    ]);
  if (here !== undefined) {
    const { id, name, state, networks } = here;
    const addresses = [...networks.values()].filter(address => address !== '');
    if (addresses.length === 0)
      throw new VerbError('container_state', `${field}: container ${name} has no address (it is ${state})`, {
        field,
      });
    const known = directory.called(id)[0];
    return { addresses, container: { id, name, namespace: known?.namespace ?? '', hostMgmtIp, state } };
  }
  if (row === undefined)
    throw new VerbError('container_not_found', `${field}: no container of the mesh is named ${named}`, {
      field,
    });
  if (!isIPv4(row.address))
    throw new VerbError(
      'container_state',
      `${field}: container ${row.name} has no address (it is ${row.state})`,
      { field },
    );
  return { addresses: [row.address], container: containerOf(row) };
}

/** @param addresses what the caller may name instead */
export function several(field: Field, name: string, addresses: readonly string[]): VerbError {
  const known = addresses.filter(address => address !== '').slice(0, 10);
  return invalid(field, `${name} is not one address alone: name one of ${known.join(', ')}`);
}

import { VerbError } from '@coold/errors';
import { type PodmanConnection, segment } from './connection.ts';
import { mayBeginId, noneNamed } from './exact-names.ts';
import { list, object, text, texts } from './shape.ts';

export interface PodmanNetwork {
  name: string;
  driver: string;
  /** Every one it has, of either family. */
  subnets: { subnet: string; gateway: string }[];
  labels: Record<string, string>;
}

export interface NetworkSpec {
  name: string;
  driver: string;
  subnet?: { subnet: string; gateway: string | undefined };
  options: Record<string, string>;
  labels: Record<string, string>;
}

export interface PodmanNetworks {
  /** Creates a network without Podman's own DNS: coold answers for its networks. */
  create(spec: NetworkSpec, signal: AbortSignal): Promise<PodmanNetwork>;
  /** Returns the networks sorted by name: Podman's order changes. */
  list(signal: AbortSignal): Promise<PodmanNetwork[]>;
  /** Removes the network with exactly this name. @throws VerbError 404 when it does not exist */
  remove(name: string, signal: AbortSignal): Promise<void>;
}

export function podmanNetworks(connection: PodmanConnection): PodmanNetworks {
  const listed = async (signal: AbortSignal) =>
    list(await connection.libpod({ path: '/networks/json' }, signal), 'networks')
      .map((entry, index) => readNetwork(entry, `networks[${index}]`))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    async create({ name, driver, subnet, options, labels }, signal) {
      const json = {
        name,
        driver,
        labels,
        options,
        dns_enabled: false,
        ...(subnet === undefined ? {} : { subnets: [subnet] }),
      };
      return readNetwork(
        await connection.libpod({ method: 'POST', path: '/networks/create', json }, signal),
        'network',
      );
    },
    list: listed,
    async remove(name, signal) {
      if (mayBeginId(name) && !(await listed(signal)).some(network => network.name === name))
        throw noneNamed('network', name);
      const path = `/networks/${segment(name)}`;
      const call = { method: 'DELETE', path, success: [200, 204] } as const;
      const removed = list((await connection.libpod(call, signal)) ?? [], 'networks');
      // Podman sends some refusals with status 200, for example the one for its default network.
      for (const [index, entry] of removed.entries()) {
        const refusal = object(entry, `networks[${index}]`)['Err'] ?? '';
        if (refusal === '') continue;
        const why = text(refusal, `networks[${index}].Err`);
        throw new VerbError(/being used/.test(why) ? 'in_use' : 'conflict', `podman: ${why}`);
      }
    },
  };
}

function readNetwork(answer: unknown, at: string): PodmanNetwork {
  const network = object(answer, at);
  return {
    name: text(network['name'], `${at}.name`),
    driver: text(network['driver'], `${at}.driver`),
    subnets: list(network['subnets'] ?? [], `${at}.subnets`).map((entry, index) => {
      const where = `${at}.subnets[${index}]`;
      const subnet = object(entry, where);
      return {
        subnet: text(subnet['subnet'], `${where}.subnet`),
        gateway: text(subnet['gateway'] ?? '', `${where}.gateway`),
      };
    }),
    labels: texts(network['labels'], `${at}.labels`),
  };
}

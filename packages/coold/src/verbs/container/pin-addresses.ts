import { VerbError } from '@coold/errors';
import type { AddressHolder } from '../../podman/address-holders.ts';
import type { PodmanNetwork } from '../../podman/networks.ts';
import { heldAddresses, lowestFree } from './address-pins.ts';

/** Assigns addresses to containers that are being created, each address only once however many are created at a time. */
export interface AddressPins {
  /**
   * Chooses an address on each network and reserves it until `create` has settled; after that, Podman lists the
   * container with it.
   *
   * @param ip the address that the caller named: used without a check, and reserved all the same
   * @throws VerbError 409 naming the field when a network is full
   */
  during<T>(
    networks: readonly { network: PodmanNetwork; field: string }[],
    signal: AbortSignal,
    create: (addresses: ReadonlyMap<string, string>) => Promise<T>,
    ip?: string,
  ): Promise<T>;
}

export function createAddressPins(sources: {
  holders(signal: AbortSignal): Promise<readonly AddressHolder[]>;
  /** Returns addresses that existing allow rules name. @throws VerbError while they are not known */
  ruled(): Promise<ReadonlySet<string>>;
}): AddressPins {
  /** `network address` of containers that are being created; twice when two callers name the same. */
  const reserved: string[] = [];
  let last: Promise<unknown> = Promise.resolve();

  /** @returns the reservations */
  async function choose(
    networks: readonly { network: PodmanNetwork; field: string }[],
    signal: AbortSignal,
  ): Promise<Map<string, string>> {
    // A container created while Podman lists may be missing from the list, but not from the reservations.
    const before = new Set(reserved);
    const [holders, ruled] = await Promise.all([sources.holders(signal), sources.ruled()]);
    const chosen = new Map<string, string>();
    for (const { network, field } of networks) {
      const { name } = network;
      const held = heldAddresses(holders, name);
      const isFree = (address: string) =>
        !held.has(address) && !ruled.has(address) && !before.has(keyOf(name, address));
      const address = pick(network, isFree);
      if (address === undefined)
        throw new VerbError('no_free_address', `${field}: network ${name} has no free address`, { field });
      chosen.set(name, address);
    }
    return chosen;
  }

  const reserve = (chosen: ReadonlyMap<string, string>) => {
    reserved.push(...[...chosen].map(([name, address]) => keyOf(name, address)));
    return chosen;
  };

  return {
    async during(networks, signal, create, ip) {
      if (networks.length === 0) return await create(new Map());
      // One after the other: each choice sees all reservations before it.
      const turn = last.then(async () =>
        reserve(
          ip === undefined
            ? await choose(networks, signal)
            : new Map(networks.map(({ network: { name } }) => [name, ip])),
        ),
      );
      last = turn.catch(() => {});
      const chosen = await turn;
      try {
        return await create(chosen);
      } finally {
        for (const [name, address] of chosen) reserved.splice(reserved.indexOf(keyOf(name, address)), 1);
      }
    },
  };
}

const keyOf = (network: string, address: string) => `${network} ${address}`;

function pick({ subnets }: PodmanNetwork, isFree: (address: string) => boolean): string | undefined {
  const ipv4 = subnets.find(({ subnet }) => !subnet.includes(':'));
  return ipv4 === undefined ? undefined : lowestFree(ipv4, isFree);
}

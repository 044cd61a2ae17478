import { isIPv4 } from 'node:net';
import { list, type ValueType } from '@coold/runtime';

/** A namespace of the mesh, and the bridge of its containers on this host. */
export interface Namespace {
  name: string;
  /** The name of the Podman network. */
  network: string;
  /** The address of its DNS; 0.0.0.0 for none (docs/contract.md §6). */
  gateway: string;
}

/** A lower-case DNS label: it is part of names and of firewall comments (docs/contract.md §4, §6). */
const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const networkPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

const one: ValueType<Namespace> = {
  expected: '<name>:<network>:<gateway-ip>, for example default:coolify-default-mesh:10.210.0.1',
  parse(text) {
    const [name = '', network = '', gateway = '', ...rest] = text.split(':');
    const isGood =
      rest.length === 0 && namePattern.test(name) && networkPattern.test(network) && isIPv4(gateway);
    return isGood ? { name, network, gateway } : undefined;
  },
};

/** `<name>:<network>:<gateway-ip>,…`: no name, network or gateway appears twice, except the gateway 0.0.0.0. */
export const namespaces: ValueType<Namespace[]> = {
  expected: `${list(one).expected}, no two with the same name, network or gateway`,
  parse(text) {
    const all = list(one).parse(text);
    if (all === undefined || all.length === 0) return undefined;
    const gateways = all.map(({ gateway }) => gateway).filter(gateway => gateway !== '0.0.0.0');
    const isEachOnce = [all.map(({ name }) => name), all.map(({ network }) => network), gateways].every(
      values => new Set(values).size === values.length,
    );
    return isEachOnce ? all : undefined;
  },
};

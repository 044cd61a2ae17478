import { isIPv4 } from 'node:net';
import { isObject } from '@coold/runtime/unknown-values';
import { guardName } from '../deny/guard.ts';
import type { KernelView } from '../netlink/kernel-view.ts';
import { attributesOf, headOf, listOf, nfTablesHead, textAttribute } from '../netlink/netlink.ts';
import { NetlinkError, type NetlinkSocket } from '../netlink/netlink-socket.ts';
import { runTool } from '../planes/iptables.ts';
import { listObjects } from '../planes/nft-plane.ts';
import { addressBytes } from '../rule/cidr.ts';

/** The packet counters of the guard's sets. */
export interface GuardCounters {
  /** Whether the guard is in the kernel and has a chain. @throws Error */
  hasChain(chain: string): Promise<boolean>;
  /** Returns the packets that a set has counted, for one element or for all. @throws Error */
  packets(set: string, element?: string): Promise<number>;
}

/** Reads the counters from the kernel, or with nft where the kernel cannot be asked. */
export function createGuardCounters(view: KernelView): GuardCounters {
  return {
    async hasChain(chain) {
      const asked = await view.ask(async socket => askChain(socket, chain));
      return asked === undefined ? await hasGuardChain(chain) : asked.answer;
    },
    async packets(set, element) {
      const asked = await view.ask(socket => askCounter(socket, set, element));
      return asked === undefined ? await readCounter(set, element) : asked.answer;
    },
  };
}

/** Numbers of linux/netfilter.h and linux/netfilter/nf_tables.h. */
const inet = 1;
const ask = { chain: 4, elements: 13 } as const;
const chainAttributes = { table: 1, name: 3 } as const;
const elementAttributes = { table: 1, set: 2, elements: 3, key: 1, expression: 7, expressions: 17 } as const;
const expressionAttributes = { name: 1, data: 2 } as const;
const valueAttribute = 1;
const packetsAttribute = 2;
const notFound = 2;

function askChain(socket: NetlinkSocket, chain: string): boolean {
  const { table, name } = chainAttributes;
  const asked = [textAttribute(table, guardName), textAttribute(name, chain)];
  return socket.get(ask.chain, [headOf(inet), ...asked]) !== undefined;
}

async function askCounter(socket: NetlinkSocket, set: string, element: string | undefined): Promise<number> {
  // The guard counts IPv4 only.
  if (element !== undefined && !isIPv4(element)) return 0;
  const key = element === undefined ? undefined : addressBytes(element);
  const asked = [
    textAttribute(elementAttributes.table, guardName),
    textAttribute(elementAttributes.set, set),
  ];
  let sum = 0;
  try {
    const { interrupted } = await socket.dump(ask.elements, [headOf(inet), ...asked], ({ body }) => {
      const listed = attributesOf(body.subarray(nfTablesHead)).get(elementAttributes.elements);
      for (const one of listOf(listed ?? Buffer.alloc(0))) sum += countedBy(one, key);
    });
    if (interrupted) throw new Error(`set ${set} of the guard changed while its counters were read`);
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === notFound)
      throw new Error(`the guard has no set ${set}`, { cause: error });
    throw error;
  }
  return sum;
}

/** Returns the packets of an element; 0 when it has another key or no counter. */
function countedBy(element: Buffer, key: Buffer | undefined): number {
  const attributes = attributesOf(element);
  const ofKey = attributes.get(elementAttributes.key);
  const value = ofKey === undefined ? undefined : attributesOf(ofKey).get(valueAttribute);
  if (key !== undefined && value?.equals(key) !== true) return 0;
  // Newer kernels list several expressions per element.
  const several = attributes.get(elementAttributes.expressions);
  const single = attributes.get(elementAttributes.expression);
  const expressions = several === undefined ? [single] : listOf(several);
  return expressions.reduce((sum, expression) => sum + packetsOf(expression), 0);
}

function packetsOf(expression: Buffer | undefined): number {
  if (expression === undefined) return 0;
  const attributes = attributesOf(expression);
  const name = attributes.get(expressionAttributes.name);
  const data = attributes.get(expressionAttributes.data);
  if (name?.toString('latin1') !== 'counter\0' || data === undefined) return 0;
  const packets = attributesOf(data).get(packetsAttribute);
  return packets?.length === 8 ? Number(packets.readBigUInt64BE()) : 0;
}

/** Whether the guard is in the kernel and counts. @throws Error */
export async function hasGuardChain(chain: string): Promise<boolean> {
  const chains = await listObjects(runTool, 'chain', ['chains', 'inet']);
  return chains.some(({ table, name }) => table === guardName && name === chain);
}

async function readCounter(set: string, element?: string): Promise<number> {
  const [listed] = await listObjects(runTool, 'set', ['set', 'inet', guardName, set]);
  const elements = listed?.['elem'];
  if (!Array.isArray(elements)) return 0;
  return elements.reduce((sum: number, listedElement: unknown) => {
    const inner = isObject(listedElement) ? listedElement['elem'] : undefined;
    if (!isObject(inner) || !isObject(inner['counter'])) return sum;
    if (element !== undefined && inner['val'] !== element) return sum;
    return sum + Number(inner['counter']['packets']);
  }, 0);
}

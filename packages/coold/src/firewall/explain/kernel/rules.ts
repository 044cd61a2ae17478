import { attributesOf, eachAttribute, textOf } from '../../netlink/netlink.ts';
import { type Expression, readExpressions } from './expressions.ts';

/** Identifies a chain. Chains of one table have different names. */
export interface Place {
  /**
   * "ip", "inet", "bridge", "netdev"; or "legacy" for iptables-legacy, whose tables are separate from those of
   * nf_tables.
   */
  family: Family;
  table: string;
  chain: string;
}

export const families = { inet: 1, ip: 2, netdev: 5, bridge: 7 } as const;
export type Family = keyof typeof families | 'legacy';

/** A chain attached to a hook. */
export interface BaseChain extends Place {
  /** The number of its hook within its family. */
  hook: number;
  priority: number;
  type: string;
  policy: 'accept' | 'drop';
  /** The interfaces of a hook that belongs to interfaces. */
  devices: readonly string[];
}

export interface ChainRule {
  place: Place;
  expressions: readonly Expression[];
  /** The rule's comment, set by nft or iptables. */
  comment: string;
}

const deviceBeginning = 2;

/**
 * Parses an `NFT_MSG_NEWCHAIN`. Returns undefined for a chain without a hook, and for a family that IPv4 packets do not
 * pass.
 */
export function readBaseChain(familyNumber: number, body: Buffer): BaseChain | undefined {
  const family = familyOf(familyNumber);
  const { 1: table, 3: chain, 4: hook, 5: policy, 7: type } = Object.fromEntries(attributesOf(body));
  if (family === undefined || hook === undefined) return undefined;
  const { 1: number, 2: priority, 3: device, 4: devices } = Object.fromEntries(attributesOf(hook));
  if (number === undefined || priority === undefined) return undefined;
  const names = devices === undefined ? [] : namesIn(devices);
  return {
    family,
    table: textOf(table),
    chain: textOf(chain),
    type: textOf(type),
    hook: number.readUInt32BE(0),
    priority: priority.readInt32BE(0),
    policy: policy?.readUInt32BE(0) === 0 ? 'drop' : 'accept',
    devices: [...(device === undefined ? [] : [textOf(device)]), ...names],
  };
}

/** Interface names. `veth*` matches every name with that prefix. */
function namesIn(bytes: Buffer): string[] {
  const found: string[] = [];
  eachAttribute(bytes, 0, bytes.length, (type, from, to) => {
    const name = textOf(bytes.subarray(from, to));
    found.push(type === deviceBeginning ? `${name}*` : name);
  });
  return found;
}

/** Returns a family by its number; undefined for one that IPv4 packets do not pass. */
export function familyOf(number: number): Exclude<Family, 'legacy'> | undefined {
  switch (number) {
    case families.inet:
      return 'inet';
    case families.ip:
      return 'ip';
    case families.netdev:
      return 'netdev';
    case families.bridge:
      return 'bridge';
    default:
      return undefined;
  }
}

/** Parses an `NFT_MSG_NEWRULE`. */
export function readChainRule(family: Exclude<Family, 'legacy'>, body: Buffer): ChainRule {
  const { 1: table, 2: chain, 4: expressions, 7: userdata } = Object.fromEntries(attributesOf(body));
  const list = expressions ?? Buffer.alloc(0);
  return {
    place: { family, table: textOf(table), chain: textOf(chain) },
    expressions: readExpressions(Buffer.from(list)),
    comment: (userdata === undefined ? '' : commentIn(userdata)) || xtablesComment(list),
  };
}

/** nft stores the comment in the rule's user data: a type, a length, and the text. */
function commentIn(userdata: Buffer): string {
  for (let at = 0; at + 2 <= userdata.length; ) {
    const length = userdata.readUInt8(at + 1);
    if (userdata.readUInt8(at) === 0) return textOf(userdata.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return '';
}

/** iptables-nft stores the comment as a match. */
function xtablesComment(list: Buffer): string {
  let comment = '';
  eachAttribute(list, 0, list.length, (_, from, to) => {
    const { 1: name, 2: data } = Object.fromEntries(attributesOf(list.subarray(from, to)));
    if (data === undefined || textOf(name) !== 'match') return;
    const { 1: match, 3: info } = Object.fromEntries(attributesOf(data));
    if (textOf(match) === 'comment') comment = textOf(info);
  });
  return comment;
}

const [sourceOffset, destinationOffset] = [12, 16];
const payloadName = Buffer.from('payload\0');
const compareName = Buffer.from('cmp\0');
/** Expressions that only read, so that nothing before a failing comparison has an effect. */
const readers = ['payload\0', 'cmp\0', 'bitwise\0', 'counter\0'].map(name => Buffer.from(name));

/** Addresses as numbers in the machine's byte order. */
export interface NamedEnds {
  source: number | undefined;
  destination: number | undefined;
}

/**
 * Returns the addresses that a rule compares before it does anything else; the rule does not concern packets with other
 * addresses. Works on the bytes, because thousands of allow rules are checked for one packet.
 *
 * @param body of `NFT_MSG_NEWRULE`
 */
export function namedEnds(body: Buffer): NamedEnds {
  const ends: NamedEnds = { source: undefined, destination: undefined };
  eachAttribute(body, 0, body.length, (type, begin, end) => {
    if (type === 4) readEnds(body, begin, end, ends);
  });
  return ends;
}

/** Whether a rule requires another source or destination. @param source undefined when it may be any */
export function namesOthers(body: Buffer, source: Buffer | undefined, destination: Buffer): boolean {
  const ends = namedEnds(body);
  if (ends.destination !== undefined && ends.destination !== destination.readUInt32LE(0)) return true;
  return source !== undefined && ends.source !== undefined && ends.source !== source.readUInt32LE(0);
}

function readEnds(body: Buffer, begin: number, end: number, ends: NamedEnds): void {
  /** What the last expression has loaded into a register. */
  let loaded: keyof NamedEnds | undefined;
  for (let at = begin; at + 4 <= end; at += (body.readUInt16LE(at) + 3) & ~3) {
    if (ends.source !== undefined && ends.destination !== undefined) return;
    const length = body.readUInt16LE(at);
    if (length < 12) return;
    // An element has two attributes: its name, then its data.
    const nameFrom = at + 8;
    const nameTo = at + 4 + body.readUInt16LE(at + 4);
    const dataAt = (nameTo + 3) & ~3;
    const is = (name: Buffer) =>
      name.length === nameTo - nameFrom && body.compare(name, 0, name.length, nameFrom, nameTo) === 0;
    if (is(payloadName)) loaded = loadedBy(body, dataAt);
    else if (is(compareName)) {
      if (loaded !== undefined) ends[loaded] ??= equalTo(body, dataAt);
      loaded = undefined;
    } else if (!readers.some(is)) {
      // A test of the packet's protocol, with which rules of the bridged plane begin, has no effect either.
      if (!isMetaRead(body, nameFrom, nameTo, dataAt)) return;
      loaded = undefined;
    } else loaded = undefined;
  }
}

function loadedBy(body: Buffer, dataAt: number): keyof NamedEnds | undefined {
  let [base, offset, length] = [0, 0, 0];
  eachAttribute(body, dataAt + 4, dataAt + body.readUInt16LE(dataAt), (type, from) => {
    if (type === 2) base = body.readUInt32BE(from);
    if (type === 3) offset = body.readUInt32BE(from);
    if (type === 4) length = body.readUInt32BE(from);
  });
  if (base !== 1 || length !== 4) return undefined;
  if (offset === sourceOffset) return 'source';
  return offset === destinationOffset ? 'destination' : undefined;
}

/** Returns the address that the expression compares for equality. */
function equalTo(body: Buffer, dataAt: number): number | undefined {
  let isEquality = false;
  let value: number | undefined;
  eachAttribute(body, dataAt + 4, dataAt + body.readUInt16LE(dataAt), (type, from, to) => {
    if (type === 2) isEquality = body.readUInt32BE(from) === 0;
    // The data attribute holds one attribute, the value.
    if (type === 3 && to - from === 8) value = body.readUInt32LE(from + 4);
  });
  return isEquality ? value : undefined;
}

function isMetaRead(body: Buffer, nameFrom: number, nameTo: number, dataAt: number): boolean {
  if (body.toString('latin1', nameFrom, nameTo) !== 'meta\0') return false;
  let reads = true;
  eachAttribute(body, dataAt + 4, dataAt + body.readUInt16LE(dataAt), type => {
    if (type === 3) reads = false;
  });
  return reads;
}

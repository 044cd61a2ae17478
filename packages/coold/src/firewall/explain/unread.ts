import { attributesOf, textOf } from '../netlink/netlink.ts';
import type { NetlinkSocket } from '../netlink/netlink-socket.ts';
import { readKernelFile } from '../netlink/read-kernel-file.ts';
import type { Way } from './packet/way.ts';

// Finds what may drop packets as well but is not interpreted: programs and filters at interfaces (linux/rtnetlink.h,
// linux/if_link.h), isolated bridge ports, and the tables of ebtables-legacy.

const [getLink, getQdisc, getFilter] = [18, 38, 46];
const [linkHead, trafficHead] = [16, 20];
const xdpAttribute = 43;
/** Attributes of a bridge port. */
const [portAttribute, isolatedAttribute] = [5, 33];
/** Where filters of the qdiscs `ingress` and `clsact` are: before a packet enters and after it leaves. */
const filterPlaces = [
  { kinds: ['clsact', 'ingress'], what: 'what comes in by', parent: 0xfffffff2 },
  { kinds: ['clsact'], what: 'what goes out by', parent: 0xfffffff3 },
] as const;

/**
 * Describes what is on the packet's path, may drop it, and is not interpreted; empty when nothing is known to be.
 *
 * @throws NetlinkError
 */
export async function readUnread(routes: NetlinkSocket, way: Way): Promise<string[]> {
  const ebtables = usesEbtablesLegacy(await readKernelFile('/proc/modules'));
  return [
    ...(await unreadAtLinks(routes, way)),
    ...(ebtables ? ['the rules of ebtables-legacy, which this host has'] : []),
  ];
}

/**
 * Whether a table of ebtables-legacy has rules: its module is in use then. The table itself is not read, because that
 * would create it. Pure.
 *
 * @param modules `/proc/modules`
 */
export function usesEbtablesLegacy(modules: string): boolean {
  return modules.split('\n').some(line => {
    const [name = '', , users = '0'] = line.split(' ');
    return /^ebtable_(filter|nat|broute)$/.test(name) && Number(users) > 0;
  });
}

/** Includes every bridge port, since it is not known which of them the packet uses. */
async function unreadAtLinks(routes: NetlinkSocket, way: Way): Promise<string[]> {
  const ends = way.kind === 'bridged' ? [way.bridge] : [way.into, way.out];
  const onWay = new Set(ends.map(({ index }) => index));
  const names = new Map<number, string>();
  const found: string[] = [];
  let isolated = 0;
  await routes.dump(getLink, [Buffer.alloc(linkHead)], ({ body }) => {
    const index = body.readInt32LE(4);
    const {
      3: name,
      10: master,
      18: info,
      [xdpAttribute]: xdp,
    } = Object.fromEntries(attributesOf(body.subarray(linkHead)));
    const isPort = master !== undefined && onWay.has(master.readUInt32LE(0));
    if (!onWay.has(index) && !isPort) return;
    names.set(index, textOf(name));
    if (isPort && way.kind === 'bridged' && isIsolated(info)) isolated += 1;
    const isAttached = xdp !== undefined && (attributesOf(xdp).get(2)?.[0] ?? 0) !== 0;
    if (isAttached) found.push(`the XDP program at ${textOf(name)}`);
  });
  // A bridge passes nothing between two isolated ports.
  if (isolated > 1)
    found.push(`which ports of ${ends[0]?.name ?? 'the bridge'} are isolated from each other`);
  const qdiscs = new Map<number, string>();
  await routes.dump(getQdisc, [Buffer.alloc(trafficHead)], ({ body }) => {
    const index = body.readInt32LE(4);
    const kind = textOf(attributesOf(body.subarray(trafficHead)).get(1));
    if (names.has(index) && (kind === 'clsact' || kind === 'ingress')) qdiscs.set(index, kind);
  });
  for (const [index, qdisc] of qdiscs)
    for (const { kinds, what, parent } of filterPlaces) {
      if (!kinds.some(kind => kind === qdisc)) continue;
      const head = Buffer.alloc(trafficHead);
      head.writeInt32LE(index, 4);
      head.writeUInt32LE(parent, 12);
      const filters = new Set<string>();
      await routes.dump(getFilter, [head], ({ body }) => {
        filters.add(textOf(attributesOf(body.subarray(trafficHead)).get(1)));
      });
      if (filters.size > 0)
        found.push(`the tc filter (${[...filters].join(', ')}) of ${what} ${names.get(index) ?? ''}`);
    }
  return found;
}

function isIsolated(info: Buffer | undefined): boolean {
  const port = info === undefined ? undefined : attributesOf(info).get(portAttribute);
  return port !== undefined && attributesOf(port).get(isolatedAttribute)?.[0] === 1;
}

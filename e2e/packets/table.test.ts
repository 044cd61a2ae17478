import { expect, test } from 'vitest';
import { containerAt, hostOf, isHost } from './places.ts';
import { groups, type Row } from './row.ts';
import { linkLocalOf } from './scene.ts';
import { packetTable } from './table.ts';
import { worldNames, worlds } from './world.ts';

const table = packetTable();

test('every row has a unique id, and every group has rows', () => {
  const ids = table.map(({ id }) => id);
  expect(ids.filter((id, place) => ids.indexOf(id) !== place)).toEqual([]);
  expect(groups.filter(group => !table.some(row => row.group === group))).toEqual([]);
});

test('every named state has its place, and the short selection is not empty', () => {
  expect(worlds.map(({ name }) => name).toSorted()).toEqual([...worldNames].toSorted());
  expect(worlds.filter(({ short }) => short).length).toBeGreaterThan(2);
});

/** Whether a rule's flow includes the flow of another row. */
function opens(ruled: Row, other: Row): boolean {
  const { rule } = ruled;
  if (rule === undefined || other.rule !== undefined || other.at !== rule.at) return false;
  const [from, to] = rule.reversed ? [ruled.to, ruled.from] : [ruled.from, ruled.to];
  if (other.from !== from || other.to !== to || rule.on === 'source') return false;
  const { packet } = other;
  // Forged and unusual packets are dropped whatever the rules are.
  if (packet.kind !== 'tcp' && packet.kind !== 'udp' && packet.kind !== 'icmp' && packet.kind !== 'flood')
    return false;
  const proto = packet.kind === 'flood' ? 'udp' : packet.kind;
  if (rule.proto !== undefined && rule.proto !== proto) return false;
  return rule.port === undefined || ('port' in packet && packet.port === rule.port);
}

test('no rule of one row allows another row that must be dropped', () => {
  const opened = table
    .filter(({ verdict }) => verdict === 'dropped')
    .flatMap(row => table.filter(ruled => opens(ruled, row)).map(({ id }) => `${id} opens ${row.id}`));
  expect(opened).toEqual([]);
});

test('a row uses link-local and broadcast addresses only on their own bridge', () => {
  const onBridge = table.filter(({ at }) => at === 'link-local' || at === 'broadcast' || at === 'everyone');
  for (const { from, to, id } of onBridge)
    expect(containerAt(from)?.networks[0], id).toBe(containerAt(to)?.networks[0]);
});

test('the neighbour is only the destination of packets that leave the mesh', () => {
  for (const { to, verdict, id } of table.filter(row => hostOf(row.to) === 'n')) {
    expect(isHost(to), id).toBe(true);
    expect(verdict, id).toBe('passes');
  }
});

test('derives a link-local address from the MAC address as the kernel does', () => {
  expect(linkLocalOf('52:54:00:12:34:56')).toBe('fe80::5054:ff:fe12:3456');
});

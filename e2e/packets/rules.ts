import type { FleetHost } from '../harness/fleet.ts';
import { hostOf } from './places.ts';
import type { Row } from './row.ts';
import type { Scene, Where } from './scene.ts';

export interface WantedRule {
  host: 'a' | 'b';
  src: string;
  dst: string;
  proto?: 'tcp' | 'udp';
  port?: number;
}

/** Returns the rules that the rows need, each for the host that the row names. */
export function rulesOf(rows: readonly Row[], where: Where): WantedRule[] {
  return rows.flatMap(row => {
    const { rule, from, to } = row;
    if (rule === undefined) return [];
    const { proto, port, on = 'destination', reversed, at = 'own' } = rule;
    const ends = [where.addressOf(from, 'own', from), where.addressOf(to, at, from)];
    const [src = '', dst = ''] = reversed ? ends.toReversed() : ends;
    const written = { destination: [to], source: [from], both: [from, to] }[on];
    return [...new Set(written.map(hostOf))].flatMap(host =>
      host === 'n'
        ? []
        : [
            {
              host,
              src,
              dst,
              ...(proto === undefined ? {} : { proto }),
              ...(port === undefined ? {} : { port }),
            },
          ],
    );
  });
}

/** Replaces all existing rules by these. */
export async function writeRules(scene: Scene, wanted: readonly WantedRule[]): Promise<void> {
  await Promise.all(scene.fleet.hosts.map(member => writeOn(scene, member, wanted)));
}

async function writeOn(scene: Scene, member: FleetHost, all: readonly WantedRule[]): Promise<void> {
  const standing = (await scene.call(member, { type: 'firewall.list' })) as (Omit<WantedRule, 'host'> & {
    id: string;
  })[];
  const key = ({ src, dst, proto, port }: Omit<WantedRule, 'host'>) =>
    `${src} ${dst} ${proto || '-'} ${port || 0}`;
  const wanted = new Map(
    all.filter(({ host }) => host === member.name).map(({ host, ...rule }) => [key(rule), rule]),
  );
  const there = new Set(standing.map(key));
  const add = [...wanted].filter(([name]) => !there.has(name)).map(([, rule]) => rule);
  const remove = standing.filter(rule => !wanted.has(key(rule))).map(({ id }) => id);
  if (add.length > 0 || remove.length > 0) await scene.call(member, { type: 'firewall.bulk', add, remove });
}

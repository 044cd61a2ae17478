import { Packet } from 'dns2';
import { describe, expect, it } from 'vitest';
import { createAnswerPacket, selfQueryType, type Transport } from './answer.ts';
import { askFor, directoryOf } from './testing.ts';
import { createZone } from './zone.ts';

const many = Array.from({ length: 200 }, (_, index) => `10.210.1.${index + 1}`);
const directory = directoryOf({
  'web.shop': ['10.210.0.5', '10.210.0.5'],
  'many.shop': many,
});
const zone = createZone({ name: 'coolify.internal', namespaces: ['shop'], directory });
const answerPacket = createAnswerPacket(zone, 77);

function ask(name: string, type: number, options: { udpBytes?: number; transport?: Transport } = {}) {
  const answer = answerPacket(askFor(name, type, options.udpBytes), options.transport ?? 'udp');
  if (answer.kind !== 'reply') throw new Error(answer.kind);
  return { ...answer, parsed: Packet.parse(answer.packet) };
}
const [a, ns, soa, txt, aaaa, any] = [1, 2, 6, 16, 28, 255];

describe('answers (docs/contract.md §6)', () => {
  it('are addresses, each once, for five seconds', () => {
    for (const type of [a, any]) {
      const { parsed } = ask('WEB.shop.coolify.internal', type);
      expect(parsed.header).toMatchObject({ aa: 1, rcode: 0, tc: 0 });
      expect(parsed.answers).toMatchObject([
        { name: 'WEB.shop.coolify.internal', address: '10.210.0.5', ttl: 5, type: 1 },
      ]);
      expect(parsed.authorities).toEqual([]);
    }
  });

  it.each([
    ['web.shop.coolify.internal', aaaa, 0],
    ['web.shop.coolify.internal', txt, 0],
    ['coolify.internal', a, 0],
    ['coolify.internal', soa, 0],
    ['coolify.internal', ns, 0],
    ['shop.coolify.internal', a, 0],
    ['web.coolify.internal', a, 3],
    ['db.shop.coolify.internal', a, 3],
    ['db.shop.coolify.internal', aaaa, 3],
  ])('have no record for %s type %i: rcode %i, with the authority', (name, type, rcode) => {
    const { parsed } = ask(name, type);
    expect(parsed.header).toMatchObject({ aa: 1, rcode });
    expect(parsed.answers).toEqual([]);
    expect(parsed.authorities).toMatchObject([{ name: 'coolify.internal', ttl: 5, minimum: 5, serial: 77 }]);
  });

  it('are truncated where the client takes less, and whole over TCP', () => {
    const name = 'many.shop.coolify.internal';
    expect(ask(name, a).parsed.header.tc).toBe(1);
    expect(ask(name, a, { udpBytes: 1232 }).parsed.header.tc).toBe(1);
    const over = (parsed: Packet) => parsed.answers.map(({ address }) => address).sort();
    for (const options of [{ udpBytes: 4096 }, { transport: 'tcp' as const }]) {
      const { parsed } = ask(name, a, options);
      expect(parsed.header.tc).toBe(0);
      expect(over(parsed)).toEqual([...many].sort());
    }
  });

  it('are SERVFAIL while nothing is known of the mesh', () => {
    const early = createZone({ name: 'z', namespaces: ['shop'], directory: directoryOf({}, false) });
    const answer = createAnswerPacket(early, 1)(askFor('web.shop.z', a), 'udp');
    expect(answer).toMatchObject({ kind: 'reply', rcode: 'SERVFAIL' });
  });

  it('of the zone end at its border', () => {
    expect(answerPacket(askFor('example.com', a), 'udp').kind).toBe('forward');
  });

  it('know the question that a listener asks itself', () => {
    expect(ask('coolify.internal', selfQueryType)).toMatchObject({ rcode: 'NOERROR', isSelfQuery: true });
    expect(ask('coolify.internal', a).isSelfQuery).toBe(false);
  });
});

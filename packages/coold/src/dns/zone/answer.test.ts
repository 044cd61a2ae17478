import { Packet } from 'dns2';
import { describe, expect, it } from 'vitest';
import { askFor, directoryOf } from '../../../test/dns-questions.ts';
import { createAnswerPacket, selfQueryType, type Transport } from './answer.ts';
import { createZone } from './zone.ts';

const many = Array.from({ length: 200 }, (_, index) => `10.210.1.${index + 1}`);
const directory = directoryOf({
  'web.shop': ['10.210.0.5', '10.210.0.5'],
  'many.shop': many,
  'blog.shop': ['10.210.0.6'],
  'wiki.shop': ['10.210.0.6'],
  'blog.default': ['10.210.0.7'],
});
const zone = createZone({ name: 'coolify.internal', namespaces: ['shop', 'default'], directory });
const answerPacket = createAnswerPacket(zone, 77);

function ask(name: string, type: number, options: { udpBytes?: number; transport?: Transport } = {}) {
  const answer = answerPacket(askFor(name, type, options.udpBytes), options.transport ?? 'udp');
  if (answer.kind !== 'reply') throw new Error(answer.kind);
  return { ...answer, parsed: Packet.parse(answer.packet) };
}
const [a, ns, soa, ptr, txt, aaaa, any] = [1, 2, 6, 12, 16, 28, 255];

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
    ['coolify.internal', txt, 0],
    ['shop.coolify.internal', a, 0],
    // Not a zone of its own.
    ['shop.coolify.internal', soa, 0],
    ['shop.coolify.internal', ns, 0],
    ['web.shop.coolify.internal', soa, 0],
    ['web.coolify.internal', a, 3],
    ['db.shop.coolify.internal', a, 3],
    ['db.shop.coolify.internal', aaaa, 3],
  ])('have no record for %s type %i: rcode %i, with the authority', (name, type, rcode) => {
    const { parsed } = ask(name, type);
    expect(parsed.header).toMatchObject({ aa: 1, rcode });
    expect(parsed.answers).toEqual([]);
    expect(parsed.authorities).toMatchObject([{ name: 'coolify.internal', ttl: 5, minimum: 5, serial: 77 }]);
  });

  it('of the zone itself are its start of authority and its name server, also where both are asked for', () => {
    // Spelled as it was asked for.
    const name = 'Coolify.Internal';
    const authority = { name, primary: name, admin: `hostmaster.${name}` };
    const server = { name, ns: name, ttl: 5 };
    for (const [type, answers] of [
      [soa, [{ ...authority, serial: 77, minimum: 5, ttl: 5 }]],
      [ns, [server]],
      [any, [authority, server]],
    ] as const) {
      const { parsed } = ask(name, type, { udpBytes: 1232 });
      expect(parsed.header).toMatchObject({ aa: 1, rcode: 0, tc: 0 });
      expect(parsed.answers).toMatchObject(answers);
      expect(parsed.authorities).toEqual([]);
    }
  });

  it('to the reverse name of an address are the names of who has it, and "no such name" where no container has', () => {
    const { parsed } = ask('6.0.210.10.IN-ADDR.arpa', ptr, { udpBytes: 1232 });
    expect(parsed.header).toMatchObject({ aa: 1, rcode: 0 });
    expect(parsed.answers.map(({ ttl, domain }) => [ttl, domain]).sort()).toEqual([
      [5, 'blog.shop.coolify.internal'],
      [5, 'wiki.shop.coolify.internal'],
    ]);
    for (const [name, type, rcode] of [
      ['6.0.210.10.in-addr.arpa', a, 0],
      ['9.0.210.10.in-addr.arpa', ptr, 3],
      ['_udp.6.0.210.10.in-addr.arpa', ptr, 3],
    ] as const) {
      const { parsed: said } = ask(name, type);
      expect([name, said.header.rcode, said.header.aa]).toEqual([name, rcode, 1]);
      expect(said.answers).toEqual([]);
      expect(said.authorities).toMatchObject([{ name: '0.210.10.in-addr.arpa', ttl: 5, minimum: 5 }]);
    }
  });

  it("to the reverse name of an address that is not of the mesh are the upstream's", () => {
    for (const name of ['5.0.99.10.in-addr.arpa', '8.8.8.8.in-addr.arpa', '210.10.in-addr.arpa'])
      expect(answerPacket(askFor(name, ptr), 'udp').kind, name).toBe('forward');
  });

  it('with names that do not fit are truncated', () => {
    const names = Array.from(
      { length: 12 },
      (_, index) => `${String(index).padStart(2, '0')}${'x'.repeat(60)}.shop`,
    );
    const crowded = createZone({
      name: 'coolify.internal',
      namespaces: ['shop'],
      directory: directoryOf(Object.fromEntries(names.map(name => [name, ['10.210.0.5']]))),
    });
    const said = (udpBytes: number, transport: Transport) => {
      const answer = createAnswerPacket(crowded, 1)(
        askFor('5.0.210.10.in-addr.arpa', ptr, udpBytes),
        transport,
      );
      return answer.kind === 'reply' ? Packet.parse(answer.packet) : undefined;
    };
    expect(said(512, 'udp')).toMatchObject({ header: { tc: 1 }, answers: [] });
    expect(said(512, 'tcp')).toMatchObject({ header: { tc: 0 } });
    expect(said(4096, 'udp')?.answers).toHaveLength(12);
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

  it('to a name of a namespace without the zone are those with it, so that every resolver finds it at once', () => {
    expect(ask('Blog.Default', a).parsed).toMatchObject({
      header: { rcode: 0, tc: 0 },
      answers: [{ name: 'Blog.Default', address: '10.210.0.7', ttl: 5 }],
    });
    for (const [name, type, rcode] of [
      ['blog.default', aaaa, 0],
      ['nosuch.default', a, 3],
      ['nosuch.default', aaaa, 3],
    ] as const) {
      const { parsed } = ask(name, type);
      // Without an authority: the name is in no zone of ours, and a "no" must not be kept.
      expect([name, type, parsed.header.rcode, parsed.answers, parsed.authorities]).toEqual([
        name,
        type,
        rcode,
        [],
        [],
      ]);
    }
    // Of no namespace here, and of one that is called like a public top-level domain.
    for (const name of ['blog.other', 'blog.shop', 'a.blog.default'])
      expect(answerPacket(askFor(name, a), 'udp').kind, name).toBe('forward');
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

import { Packet } from 'dns2';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeHeader, encodeReply, type Query, type Rcode, rcodes, readQuery, udpLimit } from './wire.ts';
import { wireName } from './zone/names.ts';

const label = fc.stringMatching(/^[A-Za-z0-9_-]{1,63}$/);
const name = fc.array(label, { minLength: 1, maxLength: 4 }).filter(labels => labels.join('.').length < 250);
const id = fc.nat(0xffff);

interface Asked {
  id: number;
  labels: string[];
  type: number;
  recursive: boolean;
  udpBytes: number | undefined;
}
const asked: fc.Arbitrary<Asked> = fc.record({
  id,
  labels: name,
  type: fc.integer({ min: 1, max: 0xfe00 }).filter(type => type !== 251 && type !== 252 && type !== 41),
  recursive: fc.boolean(),
  udpBytes: fc.option(fc.nat(0xffff), { nil: undefined }),
});

/** As dns2 writes it. */
function encodeWithDns2({ id: given, labels, type, recursive, udpBytes }: Asked): Buffer {
  const packet = new Packet();
  packet.header.id = given;
  packet.header.rd = recursive ? 1 : 0;
  packet.questions.push(new Packet.Question(labels.join('.'), type, 1));
  const message = packet.toBuffer();
  if (udpBytes === undefined) return message;
  message.writeUInt16BE(1, 10);
  return Buffer.concat([message, Buffer.from([0, 0, 41, udpBytes >> 8, udpBytes & 255, 0, 0, 0, 0, 0, 0])]);
}

function queryOf(packet: Buffer): Query {
  const received = readQuery(packet);
  if (received.kind !== 'query') throw new Error(`read as ${JSON.stringify(received)}`);
  return received.query;
}

describe('a query', () => {
  it('is read as dns2 wrote it', () => {
    fc.assert(
      fc.property(asked, example => {
        const query = queryOf(encodeWithDns2(example));
        expect(query.name).toBe(wireName(example.labels.join('.').toLowerCase()));
        expect(query.type).toBe(example.type);
        expect(query.edns?.udpBytes).toBe(example.udpBytes);
      }),
    );
  });

  it('of any bytes is read or refused, never a crash; and what is refused is answered as such', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), bytes => {
        const packet = Buffer.from(bytes);
        const received = readQuery(packet);
        if (received.kind !== 'refused') return;
        const reply =
          received.query === undefined
            ? encodeHeader(packet, received.rcode)
            : encodeReply(received.query, { rcode: received.rcode, authoritative: false }, 512);
        const parsed = Packet.parse(reply);
        expect(parsed.header).toMatchObject({ id: packet.readUInt16BE(0), qr: 1 });
        expect(parsed.header.rcode).toBe(rcodes[received.rcode] & 0x0f);
      }),
      { numRuns: 2000 },
    );
  });

  it('that was damaged anywhere is read or refused, and what is read is what dns2 reads', () => {
    const damaged = fc.tuple(
      asked,
      fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 }),
      fc.nat(40),
    );
    fc.assert(
      fc.property(damaged, ([example, changes, cut]) => {
        const packet = encodeWithDns2(example);
        for (const [at, value] of changes) if (at < packet.length) packet[at] = value;
        const message = packet.subarray(0, packet.length - cut);
        const received = readQuery(message);
        if (received.kind !== 'query') return;
        const theirs = Packet.parse(message).questions[0];
        expect(theirs?.type).toBe(received.query.type);
        expect(theirs?.name.length).toBe(Math.max(0, received.query.name.length - 2));
      }),
      { numRuns: 2000 },
    );
  });

  const query = encodeWithDns2({ id: 7, labels: ['a', 'b'], type: 1, recursive: true, udpBytes: 1232 });
  const changed = (...changes: [number, number][]) => {
    const copy = Buffer.from(query);
    for (const [at, value] of changes) copy[at] = value;
    return copy;
  };
  const opt = query.subarray(query.length - 11);

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['less than a header', query.subarray(0, 11)],
    ['an answer', changed([2, 0x81])],
  ])('that is %s gets no answer', (_what, packet) => {
    expect(readQuery(packet)).toEqual({ kind: 'ignored' });
  });

  it.each<[string, Rcode, Buffer]>([
    ['another opcode', 'NOTIMP', changed([2, 0x28])],
    ['no question', 'FORMERR', changed([5, 0])],
    ['two questions', 'FORMERR', changed([5, 2])],
    ['a question cut short', 'FORMERR', query.subarray(0, 15)],
    ['a compressed name', 'FORMERR', changed([12, 0xc0], [13, 12])],
    ['a label of another kind', 'FORMERR', changed([12, 0x41])],
    ['64 KiB of name', 'FORMERR', Buffer.concat([query.subarray(0, 12), Buffer.alloc(65_000, '\x01a')])],
    ['records that are not there', 'FORMERR', changed([11, 9])],
    ['two OPT records', 'FORMERR', Buffer.concat([changed([11, 2]), opt])],
    ['class CH', 'REFUSED', changed([20, 3])],
    ['AXFR', 'REFUSED', changed([18, 252])],
    ['EDNS 1', 'BADVERS', changed([query.length - 5, 1])],
  ])('with %s gets %s', (_what, rcode, packet) => {
    expect(readQuery(packet)).toMatchObject({ kind: 'refused', rcode });
  });
});

describe('a reply', () => {
  const addresses = fc.uniqueArray(fc.nat(0xffff_ffff), { maxLength: 300 });

  it('is read by dns2 as it was meant, with the question to the letter', () => {
    fc.assert(
      fc.property(asked, addresses, (example, list) => {
        const packet = encodeWithDns2(example);
        const query = queryOf(packet);
        const reply = encodeReply(
          query,
          { rcode: 'NOERROR', authoritative: true, ttl: 5, addresses: Uint32Array.from(list) },
          65_535,
        );
        expect(reply.subarray(12, query.questionEnd)).toEqual(packet.subarray(12, query.questionEnd));
        const parsed = Packet.parse(reply);
        expect(parsed.errors).toEqual([]);
        expect(parsed.header).toMatchObject({ id: example.id, qr: 1, aa: 1, tc: 0, ra: 1, rcode: 0 });
        expect(parsed.header.rd).toBe(example.recursive ? 1 : 0);
        expect(parsed.questions).toMatchObject([{ name: example.labels.join('.'), type: example.type }]);
        const texts = list.map(number => [24, 16, 8, 0].map(shift => (number >>> shift) & 255).join('.'));
        expect(parsed.answers.map(answer => answer.address).sort()).toEqual(texts.sort());
        for (const answer of parsed.answers)
          expect(answer).toMatchObject({ name: example.labels.join('.'), type: 1, class: 1, ttl: 5 });
        expect(parsed.additionals.map(record => record.type)).toEqual(
          example.udpBytes === undefined ? [] : [41],
        );
      }),
    );
  });

  it('never exceeds what the client takes: as many addresses as fit, and the rest announced', () => {
    fc.assert(
      fc.property(asked, addresses, (example, list) => {
        const query = queryOf(encodeWithDns2(example));
        const limit = udpLimit(query);
        expect(limit).toBe(Math.min(4096, Math.max(512, example.udpBytes ?? 0)));
        const content = {
          rcode: 'NOERROR' as const,
          authoritative: true,
          ttl: 5,
          addresses: Uint32Array.from(list),
        };
        const reply = encodeReply(query, content, limit);
        expect(reply.length).toBeLessThanOrEqual(limit);
        const parsed = Packet.parse(reply);
        expect(parsed.header.tc).toBe(parsed.answers.length < list.length ? 1 : 0);
        if (parsed.header.tc === 1) expect(reply.length + 16).toBeGreaterThan(limit);
        expect(new Set(parsed.answers.map(answer => answer.address)).size).toBe(parsed.answers.length);
      }),
    );
  });

  it('has its addresses in any order', () => {
    const query = queryOf(
      encodeWithDns2({ id: 1, labels: ['a'], type: 1, recursive: true, udpBytes: undefined }),
    );
    const list = Uint32Array.from([1, 2, 3]);
    const orders = new Set<string>();
    for (let round = 0; round < 500; round += 1) {
      const reply = encodeReply(query, { rcode: 'NOERROR', authoritative: true, addresses: list }, 512);
      orders.add(
        Packet.parse(reply)
          .answers.map(answer => answer.address)
          .join(),
      );
    }
    expect(orders.size).toBe(6);
    expect([...list]).toEqual([1, 2, 3]);
  });

  it('without records says for how long "no" holds, in the name of the zone', () => {
    fc.assert(
      fc.property(asked, fc.nat(0xffff_ffff), (example, serial) => {
        const labels = [...example.labels.slice(0, 1), 'coolify', 'internal'];
        const query = queryOf(encodeWithDns2({ ...example, labels }));
        const authority = { zone: wireName('coolify.internal'), serial };
        const reply = encodeReply(query, { rcode: 'NXDOMAIN', authoritative: true, ttl: 5, authority }, 512);
        const parsed = Packet.parse(reply);
        expect(parsed.header).toMatchObject({ rcode: 3, aa: 1 });
        expect(parsed.answers).toEqual([]);
        expect(parsed.authorities).toMatchObject([
          {
            name: 'coolify.internal',
            type: 6,
            ttl: 5,
            primary: 'coolify.internal',
            serial,
            admin: 'hostmaster.coolify.internal',
            minimum: 5,
          },
        ]);
      }),
    );
  });
});

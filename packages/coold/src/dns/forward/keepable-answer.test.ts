import { expect, it } from 'vitest';
import { answerWith, askFor } from '../../../test/dns-questions.ts';
import { type KeepableAnswer, readKeepable } from './keepable-answer.ts';

const query = askFor('www.example.com', 1);
const questionEnd = query.length;

/** A record of the question's name. */
function record(type: number, ttl: number, data: Buffer, of = 1): Buffer {
  const fixed = Buffer.from([0xc0, 12, 0, type, 0, of, 0, 0, 0, 0, 0, 0]);
  fixed.writeUInt32BE(ttl, 6);
  fixed.writeUInt16BE(data.length, 10);
  return Buffer.concat([fixed, data]);
}

const address = (ttl: number) => record(1, ttl, Buffer.from([192, 0, 2, 7]));
const alias = (ttl: number) => record(5, ttl, Buffer.from([0xc0, 16]));
const nameServer = record(2, 300, Buffer.from([0xc0, 16]));
function authority(ttl: number, minimum: number): Buffer {
  const data = Buffer.alloc(24);
  data.writeUInt16BE(0xc00c, 0);
  data.writeUInt16BE(0xc00c, 2);
  data.writeUInt32BE(minimum, 20);
  return record(6, ttl, data);
}

function message(flags: number, answers: Buffer[], authorities: Buffer[] = []): Buffer {
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(answers.length, 6);
  header.writeUInt16BE(authorities.length, 8);
  return Buffer.concat([header, query.subarray(12), ...answers, ...authorities]);
}

const read = (answer: Buffer): KeepableAnswer | undefined => readKeepable(answer, questionEnd, 1, false);
const [noError, noSuchName] = [0x8180, 0x8183];

it.each([
  ['addresses, until the first runs out', message(noError, [address(60), address(20)]), 20],
  ['an alias and its address', message(noError, [alias(10), address(300)]), 10],
  ['records beside the answer count as well', message(noError, [address(60)], [nameServer]), 60],
  ['a week, as a day', message(noError, [address(604_800)]), 86_400],
  ['no such name, for the minimum', message(noSuchName, [], [authority(900, 30)]), 30],
  [
    'no such name, for the record itself where that is less',
    message(noSuchName, [], [authority(20, 900)]),
    20,
  ],
  ['no such name, never for longer than an hour', message(noSuchName, [], [authority(90_000, 90_000)]), 3600],
  ['an alias to no such name', message(noSuchName, [alias(10)], [authority(900, 300)]), 10],
  ['an alias to no data', message(noError, [alias(300)], [authority(900, 40)]), 40],
  ['no data', message(noError, [], [authority(900, 40)]), 40],
])('keeps %s', (_, answer, ttl) => expect(read(answer)?.ttl).toBe(ttl));

it('distinguishes the kinds of negative answers', () => {
  const kinds = [
    message(noError, [address(60)]),
    message(noError, [], [authority(900, 40)]),
    message(noSuchName, [], [authority(900, 40)]),
  ].map(read);
  expect(kinds.map(each => [each?.isNegative, each?.isNoSuchName])).toEqual([
    [false, false],
    [true, false],
    [true, true],
  ]);
});

it.each([
  ['SERVFAIL', message(0x8182, [])],
  ['SERVFAIL with a start of authority', message(0x8182, [], [authority(900, 30)])],
  ['REFUSED', message(0x8185, [])],
  ['what is truncated', message(0x8380, [address(60)])],
  ['a time to live of 0', message(noError, [address(0)])],
  ['one beyond what is allowed', message(noError, [address(0x8000_0000)])],
  ['"no such name" without a start of authority', message(noSuchName, [])],
  ['no data without one', message(noError, [])],
  ['a referral', message(noError, [], [nameServer])],
  ['an alias that leads nowhere', message(noError, [alias(300)])],
  ['another class', message(noError, [record(1, 60, Buffer.from([1, 2, 3, 4]), 3)])],
  ['what ends too early', message(noError, [address(60)]).subarray(0, -1)],
  ['what goes on behind its end', Buffer.concat([message(noError, [address(60)]), Buffer.alloc(1)])],
  ['a start of authority that is none', message(noSuchName, [], [record(6, 60, Buffer.alloc(3))])],
  ['EDNS that was not asked for', answerWith(askFor('www.example.com', 1, 1232), 60)],
  ['the header alone', message(noSuchName, []).subarray(0, 12)],
])('never keeps %s', (_, answer) => expect(read(answer)).toBeUndefined());

it('keeps an answer with EDNS to a question that had it, and leaves its flags alone', () => {
  const answer = answerWith(askFor('www.example.com', 1, 1232), 60);
  const keepable = readKeepable(answer, questionEnd, 1, true);
  expect(keepable?.ttl).toBe(60);
  expect([...(keepable?.ttlOffsets ?? [])]).toEqual([questionEnd + 6]);
});

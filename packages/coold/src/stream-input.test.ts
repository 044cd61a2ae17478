import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { StreamInputSchema } from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { createInput } from './stream-input.ts';

type Init = NonNullable<MessageInitShape<typeof StreamInputSchema>['input']>;
const input = (init: Init) => create(StreamInputSchema, { input: init });
const stdin = (text: string) => input({ case: 'stdin', value: Buffer.from(text) });
const resize = (cols: number, rows: number) => input({ case: 'resize', value: { cols, rows } });
const eof = input({ case: 'eof', value: true });

describe('the input of a stream', () => {
  it('is read to its end, small chunks gathered', async () => {
    const queue = createInput(100);
    for (const part of [stdin('a'), stdin('b'), stdin(''), eof, eof]) queue.push(part);
    const got: string[] = [];
    for await (const chunk of queue.stdin) got.push(chunk.toString());
    expect(got).toEqual(['ab']);
  });

  it('is waited for', async () => {
    const queue = createInput(100);
    const first = queue.stdin[Symbol.asyncIterator]().next();
    queue.push(stdin('a'));
    expect(await first).toEqual({ done: false, value: Buffer.from('a') });
  });

  it('counts as taken when the next is asked for', async () => {
    const granted: number[] = [];
    const queue = createInput(5, bytes => granted.push(bytes));
    const reader = queue.stdin[Symbol.asyncIterator]();
    queue.push(stdin('abc'));
    await reader.next();
    expect(granted).toEqual([]);
    expect(() => queue.push(stdin('def'))).toThrow('more than there was leave');
    const taken = queue.taken();
    const next = reader.next();
    await taken;
    expect(granted).toEqual([3]);
    queue.push(stdin('def'));
    expect(await next).toMatchObject({ value: Buffer.from('def') });
  });

  it('has only the newest size of its terminal', async () => {
    const queue = createInput(5);
    queue.push(resize(1, 2));
    queue.push(resize(3, 4));
    const reader = queue.resizes[Symbol.asyncIterator]();
    expect(await reader.next()).toEqual({ done: false, value: { cols: 3, rows: 4 } });
    const next = reader.next();
    queue.push(resize(5, 6));
    expect(await next).toMatchObject({ value: { cols: 5, rows: 6 } });
  });

  it('is refused where it is too much, too late or not wanted', () => {
    expect(() => createInput(1 << 20).push(stdin('x'.repeat(65_537)))).toThrow('at most 65536');
    expect(() => createInput(0).push(resize(1, 1))).toThrow('takes no input');
    const queue = createInput(5);
    queue.push(eof);
    expect(() => queue.push(stdin('a'))).toThrow('eof was sent before');
  });

  it('ends for everybody when the stream does', async () => {
    const queue = createInput(5);
    const waiting = [
      queue.stdin[Symbol.asyncIterator]().next(),
      queue.resizes[Symbol.asyncIterator]().next(),
    ];
    queue.push(stdin('abc'));
    await waiting[0];
    const rest = [queue.taken(), queue.stdin[Symbol.asyncIterator]().next(), waiting[1]];
    for (const one of rest) one?.catch(() => {});
    queue.close();
    await expect(rest[0]).rejects.toMatchObject({ code: 404 });
    await expect(rest[1]).rejects.toMatchObject({ code: 404 });
    await expect(rest[2]).rejects.toMatchObject({ code: 404 });
  });
});

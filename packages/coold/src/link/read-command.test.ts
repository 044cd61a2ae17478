import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { BuildStack, type ServerMsg, ServerMsgSchema } from '@coold/proto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCommand } from './read-command.ts';

/** A frame by field numbers alone, as another program writes it. */
const frame = (field: number, body: (writer: BinaryWriter) => BinaryWriter) => {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string('r-1');
  body(writer.tag(field, WireType.LengthDelimited).fork()).join();
  return writer.finish();
};
const ours = (command: ServerMsg['command']) =>
  toBinary(ServerMsgSchema, create(ServerMsgSchema, { requestId: 'r-1', command }));

describe('a frame of the broker', () => {
  it.each<[string, Uint8Array, string | undefined]>([
    ['schema 1, list_containers', frame(10, body => body), 'listContainers'],
    [
      'schema 1, build',
      frame(20, body =>
        body.tag(1, WireType.LengthDelimited).string('https://x').tag(3, WireType.Varint).int32(4),
      ),
      'build',
    ],
    ['schema 1, cancel_build', frame(21, body => body), 'cancelBuild'],
    [
      'a field that a later schema added',
      frame(10, body => body.tag(299, WireType.LengthDelimited).string('x')),
      'listContainers',
    ],
    ['a kind that is not known', frame(999, body => body), undefined],
  ])('with %s is a command', (_, bytes, name) => {
    expect(readCommand(bytes)).toMatchObject({ kind: 'command', message: { command: { case: name } } });
  });

  it('of our own is a command', () => {
    const build = { repoUrl: 'https://x', stack: BuildStack.STATIC, baseImages: ['a'], nonce: 'n' };
    for (const command of [
      { case: 'build', value: build },
      { case: 'imagesPull', value: { ref: 'x' } },
    ] as const)
      expect(
        readCommand(toBinary(ServerMsgSchema, create(ServerMsgSchema, { requestId: 'r-1', command }))),
      ).toMatchObject({ kind: 'command', message: { requestId: 'r-1', command: { case: command.case } } });
    expect(readCommand(ours({ case: undefined }))).toMatchObject({ kind: 'command' });
  });

  it.each<[string, number, Uint8Array]>([
    [
      'the name of an image where list_containers has nothing',
      10,
      frame(10, body => body.tag(1, WireType.LengthDelimited).string('docker.io/library/nginx:1')),
    ],
    [
      'text where build has the number of a stack',
      20,
      frame(20, body =>
        body
          .tag(1, WireType.LengthDelimited)
          .string('web')
          .tag(2, WireType.LengthDelimited)
          .string('nginx')
          .tag(3, WireType.LengthDelimited)
          .string('KEY=value and more of it'),
      ),
    ],
    [
      'fields that build does not have',
      20,
      frame(20, body =>
        body.tag(1, WireType.LengthDelimited).string('web').tag(7, WireType.Varint).bool(true),
      ),
    ],
  ])('with %s is of another dialect', (_, field, bytes) => {
    expect(readCommand(bytes)).toEqual({ kind: 'foreign', requestId: 'r-1', field });
  });

  it('that is none at all is an error, and nothing else comes of any bytes', () => {
    expect(() => readCommand(Uint8Array.of(0xff, 0xff))).toThrow();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), body => {
        const read = readCommand(frame(20, writer => writer.raw(body)));
        expect(['command', 'foreign']).toContain(read.kind);
      }),
    );
  });
});

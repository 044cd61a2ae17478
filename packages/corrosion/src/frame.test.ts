import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CorrosionError } from './failure.ts';
import { parseFrame } from './frame.ts';

describe('a frame', () => {
  it.each([
    ['{"columns":["a","b"]}', { kind: 'columns', names: ['a', 'b'] }],
    ['{"row":[1,["x",2,null]]}', { kind: 'row', values: ['x', 2, null] }],
    ['{"eoq":{"time":0.1}}', { kind: 'end', changeId: undefined }],
    ['{"eoq":{"time":0.1,"change_id":null}}', { kind: 'end', changeId: undefined }],
    ['{"eoq":{"time":0.1,"change_id":7}}', { kind: 'end', changeId: 7 }],
    ['{"change":["delete",3,["x"],8]}', { kind: 'change', change: 'delete', values: ['x'], changeId: 8 }],
    ['{"error":"no such table"}', { kind: 'error', message: 'no such table' }],
    ['{"heartbeat":1}', undefined],
  ])('%s is read', (line, frame) => {
    expect(parseFrame(line)).toEqual(frame);
  });

  it.each([
    '',
    '{"row":[1,["x"',
    'null',
    '[]',
    '{"row":1}',
    '{"row":[1]}',
    '{"columns":[1]}',
    '{"eoq":1}',
    '{"eoq":{"change_id":-1}}',
    '{"change":["upsert",1,["x"],2]}',
    '{"change":["insert",1,["x"]]}',
    '{"change":["insert",1,"x",2]}',
    '{"change":["insert",1,["x"],"2"]}',
  ])('%s is refused', line => {
    expect(() => parseFrame(line)).toThrow(CorrosionError);
  });

  it('of any shape is read, passed over or refused as malformed', () => {
    const shape = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record({ row: fc.jsonValue(), change: fc.jsonValue(), eoq: fc.jsonValue() }, { requiredKeys: [] })
        .map(frame => JSON.stringify(frame)),
    );
    fc.assert(
      fc.property(shape, line => {
        try {
          parseFrame(line);
        } catch (error) {
          expect(error).toMatchObject({ name: 'CorrosionError', fault: 'malformed' });
        }
      }),
    );
  });
});

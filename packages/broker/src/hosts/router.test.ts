import { readVerbs, type Verb } from '@coold/proto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compileRoutes,
  ignoredFields,
  readDispatch,
  refuseHello,
  refuseSchema,
  refuseUnstreamed,
} from './router.ts';

const routes = compileRoutes(readVerbs());
const good = { host_id: 'h', request_id: 'r-1', command: { type: 'list_containers' } };

describe('a dispatch body', () => {
  it('that is whole is understood', () => {
    expect(readDispatch(good, routes)).toMatchObject({
      requestId: 'r-1',
      hostId: 'h',
      verb: { name: 'list_containers' },
    });
  });

  it.each<[string, unknown, string]>([
    ['no object', 'text', 'body'],
    ['null', null, 'body'],
    ['a list', [good], 'body'],
    ['no request_id', { ...good, request_id: undefined }, 'request_id'],
    ['a number for request_id', { ...good, request_id: 5 }, 'request_id'],
    ['a path for request_id', { ...good, request_id: '../x' }, 'request_id'],
    ['a leading dot', { ...good, request_id: '.x' }, 'request_id'],
    ['a newline at its end', { ...good, request_id: 'x\n' }, 'request_id'],
    ['129 characters', { ...good, request_id: 'x'.repeat(129) }, 'request_id'],
    ['no host_id', { ...good, host_id: undefined }, 'host_id'],
    ['an empty host_id', { ...good, host_id: '' }, 'host_id'],
    ['a long host_id', { ...good, host_id: 'h'.repeat(129) }, 'host_id'],
    ['no command', { ...good, command: undefined }, 'command'],
    ['text for command', { ...good, command: 'list_containers' }, 'command'],
    ['no type', { ...good, command: {} }, 'command.type'],
    ['a number for type', { ...good, command: { type: 1 } }, 'command.type'],
    ['a field the verb does not have', { ...good, command: { type: 'list_containers', all: true } }, 'all'],
  ])('with %s is 400', (_, body, field) => {
    expect(readDispatch(body, routes)).toMatchObject({ code: 400, field });
  });

  it.each(['shutdown', 'build', 'cancel_build', 'LIST_CONTAINERS', 'constructor', '__proto__'])(
    'with the unknown type %s is 400 and names it',
    type => {
      const refusal = readDispatch({ ...good, command: { type } }, routes);
      expect(refusal).toMatchObject({ code: 400, field: 'command.type' });
      expect('message' in refusal && refusal.message).toContain(type);
    },
  );

  it('echoes a request_id that is good, so that the caller can tell which request it was', () => {
    expect(readDispatch({ ...good, host_id: 1 }, routes)).toMatchObject({ requestId: 'r-1', code: 400 });
  });

  it('of any shape is understood or refused, never an exception', () => {
    fc.assert(
      fc.property(fc.anything(), body => {
        const read = readDispatch(body, routes);
        expect('verb' in read || ('code' in read && read.code === 400)).toBe(true);
      }),
    );
    fc.assert(
      fc.property(
        fc.record({ host_id: fc.anything(), request_id: fc.anything(), command: fc.anything() }),
        body => {
          const read = readDispatch(body, routes);
          expect('verb' in read || ('code' in read && read.code === 400)).toBe(true);
        },
      ),
    );
  });

  it('with unknown keys is read without them, and reports them', () => {
    const body = { ...good, hostid: 'h', trace: { id: 1 }, request_id: 'job:7:1' };
    expect(readDispatch(body, routes)).toMatchObject({
      requestId: 'job:7:1',
      verb: { name: 'list_containers' },
    });
    expect(ignoredFields(body)).toEqual(['hostid', 'trace']);
    for (const other of [good, 'text', null, [1]]) expect(ignoredFields(other)).toEqual([]);
  });

  it('only ever passes on a request_id of the characters that it may have', () => {
    fc.assert(
      fc.property(fc.string(), id => {
        const read = readDispatch({ ...good, request_id: id }, routes);
        if ('verb' in read) expect(id).toMatch(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/);
      }),
    );
  });
});

it('a verb that does not stream is refused with those that do', () => {
  const verb = (name: string) => routes.get(name)?.verb ?? expect.fail(name);
  expect(refuseUnstreamed(verb('containers.exec'), routes)).toBeUndefined();
  expect(refuseUnstreamed(verb('images.pull'), routes)).toBe(
    'command.type: images.pull does not stream; expected containers.logs, containers.exec, coold.logs or host.events',
  );
});

describe('schemas', () => {
  const verb = { name: 'x', schema: 2 } as Verb;

  it('a verb above the host’s is refused with both named', () => {
    const refusal = refuseSchema(verb, { hostId: 'h', schemaMax: 1 });
    expect(refusal).toMatchObject({ code: 501, reason: 'host_too_old', field: 'command.type' });
    expect(refusal?.message).toContain('schema 2');
    expect(refusal?.message).toContain('up to 1');
    expect(refuseSchema(verb, { hostId: 'h', schemaMax: 2 })).toBeUndefined();
    expect(refuseSchema({ ...verb, schema: 1 }, { hostId: 'h', schemaMax: 1 })).toBeUndefined();
  });

  it.each([
    [0, 0, true],
    [1, 1, true],
    [1, 2, true],
    [1, 9, true],
    [2, 1, false],
    [3, 9, false],
  ])('a Hello of %i to %i is taken: %s', (schemaMin, schemaMax, taken) => {
    expect(refuseHello({ schemaMin, schemaMax }) === undefined).toBe(taken);
  });
});

import type { DescMessage } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { compileProto } from './buf.ts';
import { ListContainersReqSchema, ListContainersRespSchema } from './index.ts';
import { readVerbs, type Verb } from './verbs.ts';

/** The verbs of a pair of messages whose members are these. */
async function verbsOf(members: {
  commands: string;
  answers: string;
  outsideAnswers?: string;
}): Promise<Map<string, Verb>> {
  const registry = await compileProto({
    'test.proto': `
      syntax = "proto3";
      package test;
      import "coolify/agent/v1/verb.proto";
      message Req { string id = 1; uint32 count = 2; string other = 3; }
      message Nothing {}
      message Resp { repeated string host_names = 1; string state = 2; }
      message Commands { ${members.commands} }
      message Answers { string request_id = 1; ${members.outsideAnswers ?? ''} oneof body { ${members.answers} } }`,
  });
  const message = (name: string): DescMessage => {
    const found = registry.getMessage(name);
    if (found === undefined) throw new Error(`no message ${name}`);
    return found;
  };
  return readVerbs(message('test.Commands'), message('test.Answers'));
}

function option(fields: string): string {
  return `[(coolify.agent.v1.verb) = { ${fields} }]`;
}

describe('the verbs of the stream', () => {
  it('have list_containers, of schema 1, answered by a bare list', () => {
    const verb = readVerbs().get('list_containers');
    expect(verb).toMatchObject({
      name: 'list_containers',
      schema: 1,
      commandCase: 'listContainers',
      http: undefined,
    });
    expect(verb?.summary).not.toBe('');
    expect(verb?.request).toBe(ListContainersReqSchema);
    expect(verb?.response).toBe(ListContainersRespSchema);
    expect(verb?.body).toBe(ListContainersRespSchema.field.containers);
  });

  it('do not have the builds, which are a lane of their own', () => {
    expect([...readVerbs().values()].map(verb => verb.commandCase)).not.toContain('build');
    expect([...readVerbs().values()].map(verb => verb.commandCase)).not.toContain('cancelBuild');
  });
});

describe('a verb', () => {
  it('is derived from its option, its number and the field of its name among the answers', async () => {
    const verbs = await verbsOf({
      commands: `string request_id = 1; oneof command {
        Req first_one = 199 ${option('name: "first.one" summary: "The first" body: "host_names"')};
        Req second = 200 ${option('name: "second" http: { method: "GET" path: "/x/{id}" status: 201 }')};
        Req silent = 201;
      }`,
      answers: 'Resp second = 5; Resp first_one = 7;',
    });
    expect([...verbs.keys()]).toEqual(['first.one', 'second']);
    const first = verbs.get('first.one');
    expect(first).toMatchObject({
      summary: 'The first',
      schema: 1,
      commandCase: 'firstOne',
      http: undefined,
    });
    expect([first?.request.typeName, first?.response.typeName]).toEqual(['test.Req', 'test.Resp']);
    expect(first?.body?.name).toBe('host_names');
    expect(verbs.get('second')).toMatchObject({
      schema: 2,
      body: undefined,
      http: { method: 'GET', path: '/x/{id}', status: 201, pathFields: ['id'] },
    });
  });
});

describe('a contradiction is found at start:', () => {
  const good = option('name: "go"');

  it.each([
    ['a verb outside a oneof', `Req go = 10 ${good};`, 'Resp go = 10;', 'a verb is a message of a oneof'],
    [
      'a verb that is no message',
      `oneof command { string go = 10 ${good}; }`,
      'Resp go = 10;',
      'a verb is a message of a oneof',
    ],
    [
      'a stream that is not answered 200',
      `oneof command { Req go = 10 ${option('name: "go" streams: true http: { method: "POST" path: "/x" status: 201 }')}; }`,
      'Resp go = 10;',
      'a stream is answered 200, not 201',
    ],
    [
      'no answer of its name',
      `oneof command { Req go = 10 ${good}; }`,
      'Resp went = 10;',
      'test.Answers has no answer of that name',
    ],
    [
      'an answer that is no message',
      `oneof command { Req go = 10 ${good}; }`,
      'string go = 10;',
      'test.Answers has no answer of that name',
    ],
    [
      'a verb without a name',
      `oneof command { Req go = 10 ${option('summary: "s"')}; }`,
      'Resp go = 10;',
      'verb name "" is empty or taken',
    ],
    [
      'a name for two verbs',
      `oneof command { Req other = 9 ${good}; Req go = 10 ${good}; }`,
      'Resp go = 10; Resp other = 11;',
      'verb name "go" is empty or taken',
    ],
  ])('%s', async (_what, commands, answers, complaint) => {
    await expect(verbsOf({ commands, answers })).rejects.toThrow(`test.Commands.go: ${complaint}`);
  });

  it.each(['missing', 'hostNames', 'constructor', 'toString'])(
    'a body that is not the name of a field: %s',
    async body => {
      const members = {
        commands: `oneof command { Req go = 10 ${option(`name: "go" body: "${body}"`)}; }`,
        answers: 'Resp go = 10;',
      };
      await expect(verbsOf(members)).rejects.toThrow(`test.Commands.go: test.Resp has no field ${body}`);
    },
  );

  it('an answer outside the oneof', async () => {
    const members = {
      commands: `oneof command { Req go = 10 ${good}; }`,
      outsideAnswers: 'Resp go = 10;',
      answers: 'Resp went = 11;',
    };
    await expect(verbsOf(members)).rejects.toThrow('test.Answers has no answer of that name');
  });

  it.each([
    ['a method of its own', 'method: "PUT" path: "/x" status: 200', 'http method "PUT"'],
    ['no status', 'method: "GET" path: "/x"', 'http status 0: expected one of 200, 201, 204'],
    ['an answer that 204 has no room for', 'method: "GET" path: "/x" status: 204', 'http status 204'],
    ['a path that is not absolute', 'method: "GET" path: "x/{id}" status: 200', 'http path "x/{id}"'],
    ['a path with half a parameter', 'method: "GET" path: "/x/{id" status: 200', 'http path "/x/{id"'],
    ['a path with a wildcard', 'method: "GET" path: "/x/*" status: 200', 'http path "/x/*"'],
    ['no path', 'method: "GET" status: 200', 'http path ""'],
    [
      'a parameter that is no field',
      'method: "GET" path: "/x/{name}" status: 200',
      'test.Req has no string field name',
    ],
    [
      'a parameter that is no text',
      'method: "GET" path: "/x/{count}" status: 200',
      'test.Req has no string field count',
    ],
    ['a parameter twice', 'method: "GET" path: "/{id}/{id}" status: 200', 'names id twice'],
  ])('a place on REST that cannot be: %s', async (_what, http, complaint) => {
    const members = {
      commands: `oneof command { Req go = 10 ${option(`name: "go" http: { ${http} }`)}; }`,
      answers: 'Resp go = 10;',
    };
    await expect(verbsOf(members)).rejects.toThrow(`test.Commands.go: `);
    await expect(verbsOf(members)).rejects.toThrow(complaint);
  });

  it('an answer without fields that is no 204', async () => {
    const members = {
      commands: `oneof command { Req go = 10 ${option('name: "go" http: { method: "GET" path: "/x" status: 200 }')}; }`,
      answers: 'Nothing go = 10;',
    };
    await expect(verbsOf(members)).rejects.toThrow('test.Commands.go: http status 200');
  });

  it('two verbs on one route, whatever their parameters are called', async () => {
    const place = (path: string) => `http: { method: "GET" path: "${path}" status: 200 }`;
    const members = {
      commands: `oneof command {
        Req go = 10 ${option(`name: "go" ${place('/x/{id}')}`)};
        Req stay = 11 ${option(`name: "stay" ${place('/x/{other}')}`)};
      }`,
      answers: 'Resp go = 10; Resp stay = 11;',
    };
    await expect(verbsOf(members)).rejects.toThrow('test.Commands.stay: GET /x/{other} is the route of go');
  });
});

import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, type FileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { ErrorSchema } from '../gen/coolify/agent/v1/agent_pb.js';
import { Reason } from '../gen/coolify/agent/v1/reason_pb.js';
import { type BufResult, compileFolder, inTemporaryFolder, moduleFolder, runBuf } from './buf.ts';

const schemaPath = 'coolify/agent/v1/agent.proto';
const firstNumberOfSchema2 = 200;

type Edit = (text: string) => string;

/** Puts one thing for another in one declaration; a text that does not have it there is a mistake of the test. */
function replacing(declaration: string, from: string, to: string): Edit {
  return text => {
    const start = text.indexOf(`\n${declaration} {\n`);
    const at = text.indexOf(from, start);
    if (start < 0 || at < 0 || text.slice(start, at).includes('\n}'))
      throw new Error(`expected "${from}" in ${declaration}`);
    return text.slice(0, at) + to + text.slice(at + from.length);
  };
}

/** Copies of the schema, edited, and of the baseline, which buf does not accept inside the module. */
function withCopies<T>(edit: Edit, use: (schema: string, baseline: string) => Promise<T>): Promise<T> {
  return inTemporaryFolder(async folder => {
    const schema = join(folder, 'schema');
    const baseline = join(folder, 'baseline');
    await cp(join(moduleFolder, 'coolify'), join(schema, 'coolify'), { recursive: true });
    await cp(join(moduleFolder, 'buf.yaml'), join(schema, 'buf.yaml'));
    await cp(join(moduleFolder, 'baseline'), baseline, { recursive: true });
    const file = join(schema, schemaPath);
    await writeFile(file, edit(await readFile(file, 'utf8')));
    return use(schema, baseline);
  });
}

function breaking(edit: Edit): Promise<BufResult> {
  return withCopies(edit, (schema, baseline) => runBuf(['breaking', '--against', baseline], schema));
}

/** Fields that schema 1 does not have, in messages that it has, with numbers that are schema 1's. */
function strays(schema: FileRegistry, baseline: FileRegistry): string[] {
  const stray: string[] = [];
  for (const fixed of baseline) {
    if (fixed.kind !== 'message') continue;
    const known = new Set(fixed.fields.map(field => field.number));
    for (const field of schema.getMessage(fixed.typeName)?.fields ?? [])
      if (!known.has(field.number) && field.number < firstNumberOfSchema2)
        stray.push(`${fixed.typeName}.${field.name} = ${field.number}`);
  }
  return stray;
}

function straysAfter(edit: Edit): Promise<string[]> {
  return withCopies(edit, async (schema, baseline) =>
    strays(await compileFolder(schema), await compileFolder(baseline)),
  );
}

const unchanged: Edit = text => text;

it('the schema passes the linter', async () => {
  const { code, stdout, stderr } = await runBuf(['lint']);
  expect({ code, said: stdout.toString() + stderr }).toEqual({ code: 0, said: '' });
});

describe('against schema 1', () => {
  it('nothing is broken', async () => {
    const { code, stdout, stderr } = await breaking(unchanged);
    expect({ code, said: stdout.toString() + stderr }).toEqual({ code: 0, said: '' });
  });

  it('a field may be added', async () => {
    const edit = replacing(
      'message BuildError',
      'string stage = 3;',
      'string stage = 3;\n  string hint = 300;',
    );
    expect(await breaking(edit)).toMatchObject({ code: 0 });
  });

  it.each([
    ['a field is renumbered', 'message BuildError', 'string stage = 3;', 'string stage = 4;', '"3"'],
    ['a field is taken away', 'message BuildError', 'string stage = 3;', '', '"3"'],
    [
      "a field's type is changed",
      'message BuildResult',
      'uint64 duration_ms = 3;',
      'string duration_ms = 3;',
      '"duration_ms"',
    ],
    [
      "a field's name is changed",
      'message BuildRequest',
      'string git_ref = 2;',
      'string git_rev = 2;',
      '"gitRev"',
    ],
    [
      'a list becomes one value',
      'message ContainerSummary',
      'repeated string networks = 5;',
      'string networks = 5;',
      '"networks"',
    ],
    [
      'a command is renumbered',
      'message ServerMsg',
      'CancelBuild cancel_build = 21;',
      'CancelBuild cancel_build = 22;',
      '"21"',
    ],
    [
      'an enum value is renumbered',
      'enum BuildStack',
      'BUILD_STACK_STATIC = 4;',
      'BUILD_STACK_STATIC = 5;',
      '"4"',
    ],
    [
      'a command becomes another message',
      'message ServerMsg',
      'CancelBuild cancel_build = 21;',
      'Error cancel_build = 21;',
      '"cancel_build"',
    ],
  ])('it is noticed when %s', async (_what, declaration, from, to, named) => {
    const { code, stdout } = await breaking(replacing(declaration, from, to));
    expect(code).toBe(100);
    expect(stdout.toString()).toContain(named);
  });
});

describe('numbers below 200 are schema 1', () => {
  it('and nothing else takes one', async () => {
    expect(await straysAfter(unchanged)).toEqual([]);
  });

  it('so a new field that takes one is noticed', async () => {
    const edit = replacing(
      'message BuildError',
      'string stage = 3;',
      'string stage = 3;\n  string hint = 199;\n  string more = 300;',
    );
    expect(await straysAfter(edit)).toEqual(['coolify.agent.v1.BuildError.hint = 199']);
  });

  it('so a new command that takes one is noticed', async () => {
    const edit = replacing(
      'message ServerMsg',
      'CancelBuild cancel_build = 21;',
      'CancelBuild cancel_build = 21;\n    CancelBuild halt = 22;',
    );
    expect(await straysAfter(edit)).toEqual(['coolify.agent.v1.ServerMsg.halt = 22']);
  });
});

it('a peer of schema 1 reads an error with a reason as before', async () => {
  const old = await withCopies(unchanged, async (_, baseline) => await compileFolder(baseline));
  const sent = create(ErrorSchema, { code: 404, message: 'none', reason: Reason.CONTAINER_NOT_FOUND });
  const read = fromBinary(old.getMessage(ErrorSchema.typeName) ?? expect.fail(), toBinary(ErrorSchema, sent));
  expect(read).toMatchObject({ code: 404, message: 'none' });
});

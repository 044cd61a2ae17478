import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineCommand, fromEnvironmentFile, optionRows, parseConfig } from './config.ts';
import { absolutePath, boolean, duration, integer, list, text } from './values.ts';

const command = defineCommand({
  name: 'tool',
  envPrefix: 'TOOL_',
  summary: 'does things',
  options: {
    apiBind: { type: text, help: 'Where it listens' },
    workers: { type: integer(1, 64), default: '4', help: 'How many at once' },
    grace: { type: duration, default: '2s', help: 'How long it waits' },
    dryRun: { type: boolean, default: 'false', help: 'Changes nothing' },
    sources: { type: list(absolutePath), default: '', help: 'Where it may look' },
  },
});

function parse(argv: string[], env: NodeJS.ProcessEnv = {}) {
  return parseConfig(command, { argv, env, version: '1.2.3' });
}

function config(argv: string[], env: NodeJS.ProcessEnv = {}) {
  const parsed = parse(argv, env);
  if (parsed.kind !== 'run') throw new Error(parsed.text);
  return parsed.config;
}

describe('where a value comes from', () => {
  it('takes defaults, as an operator would write them, when nothing is given', () => {
    expect(config([])).toEqual({ apiBind: undefined, workers: 4, grace: 2000, dryRun: false, sources: [] });
  });

  it('reads a variable by the prefix and the name in capitals', () => {
    expect(config([], { TOOL_API_BIND: 'here', TOOL_WORKERS: '7', TOOL_DRY_RUN: 'yes' })).toMatchObject({
      apiBind: 'here',
      workers: 7,
      dryRun: true,
    });
  });

  it('reads a flag whose value is the next argument, or follows an equals sign', () => {
    expect(config(['--api-bind', 'here', '--workers=7'])).toMatchObject({ apiBind: 'here', workers: 7 });
  });

  it('keeps every equals sign of a value but the first', () => {
    expect(config(['--api-bind=a=b=']).apiBind).toBe('a=b=');
  });

  it('lets the last of two equal flags win', () => {
    expect(config(['--workers', '1', '--workers=2']).workers).toBe(2);
  });

  it('prefers a flag to a variable, even to one that is wrong', () => {
    expect(config(['--workers', '7'], { TOOL_WORKERS: 'many' }).workers).toBe(7);
  });

  it('prefers any flag to any variable', () => {
    const value = fc.integer({ min: 1, max: 64 });
    fc.assert(
      fc.property(value, value, fc.boolean(), (flag, variable, inline) => {
        const argv = inline ? [`--workers=${flag}`] : ['--workers', String(flag)];
        expect(config(argv, { TOOL_WORKERS: String(variable) }).workers).toBe(flag);
      }),
    );
  });

  it('takes an empty variable for an unset one', () => {
    expect(config([], { TOOL_API_BIND: '', TOOL_WORKERS: '' })).toMatchObject({
      apiBind: undefined,
      workers: 4,
    });
  });

  it('ignores variables without the prefix', () => {
    expect(config([], { WORKERS: '7', workers: '8' }).workers).toBe(4);
  });

  it('reads no variables at all for a command without a prefix', () => {
    const flagsOnly = defineCommand({
      name: 'tool',
      summary: 'does things',
      options: { workers: { type: integer(1, 64), default: '4', help: 'How many' } },
    });
    const parsed = parseConfig(flagsOnly, {
      argv: [],
      env: { WORKERS: '7', TOOL_WORKERS: '7' },
      version: '',
    });
    expect(parsed).toEqual({ kind: 'run', config: { workers: 4 }, unknownEnv: [], overruled: [] });
  });
});

describe('switches', () => {
  it('are on without a value, and leave the next argument alone', () => {
    expect(config(['--dry-run', '--workers', '7'])).toMatchObject({ dryRun: true, workers: 7 });
  });

  it('take a value behind an equals sign only', () => {
    expect(config(['--dry-run=no'], { TOOL_DRY_RUN: 'yes' }).dryRun).toBe(false);
    expect(parse(['--dry-run', 'no'])).toMatchObject({ kind: 'exit', code: 2 });
  });
});

describe('what is refused, with exit 2 and one line', () => {
  it.each([
    [['--nope'], {}, 'tool: --nope: expected one of the flags that --help lists'],
    [['nope'], {}, 'tool: nope: expected one of the flags that --help lists'],
    [['--__proto__=1'], {}, 'tool: --__proto__=1: expected one of the flags that --help lists'],
    [['--no\npe'], {}, 'tool: --no\\npe: expected one of the flags that --help lists'],
    [['--workers'], {}, 'tool: --workers: expected a whole number from 1 to 64'],
    [['--workers='], {}, 'tool: --workers="": expected a whole number from 1 to 64'],
    [['--workers', '65'], {}, 'tool: --workers="65": expected a whole number from 1 to 64'],
    [[], { TOOL_WORKERS: '0' }, 'tool: TOOL_WORKERS="0": expected a whole number from 1 to 64'],
    [[], { TOOL_GRACE: '2 s' }, 'tool: TOOL_GRACE="2 s": expected a duration such as 500ms, 2s or 1m'],
    [[], { TOOL_API_BIND: 'a\nb' }, 'tool: TOOL_API_BIND="a\\nb": expected text'],
  ])('%j %j', (argv, env, text) => {
    expect(parse(argv, env)).toEqual({ kind: 'exit', code: 2, text });
  });

  it('does not take the next flag for a forgotten value', () => {
    expect(parse(['--api-bind', '--dry-run'])).toEqual({
      kind: 'exit',
      code: 2,
      text: 'tool: --api-bind: expected text',
    });
    expect(parse(['--api-bind', '--help'])).toMatchObject({ kind: 'exit', code: 2 });
  });

  it('takes a value that looks like a flag behind an equals sign, and one that begins with a single dash', () => {
    expect(config(['--api-bind=--dry-run'])).toMatchObject({ apiBind: '--dry-run', dryRun: false });
    expect(config(['--api-bind', '-x']).apiBind).toBe('-x');
  });

  it('names a required setting that is missing by its variable, or by its flag where it has none', () => {
    const options = { keyFile: { type: absolutePath, required: true, help: 'The key' } } as const;
    const surroundings = { argv: [], env: { TOOL_KEY_FILE: '' }, version: '' };
    expect(
      parseConfig(defineCommand({ name: 'tool', envPrefix: 'TOOL_', summary: 's', options }), surroundings),
    ).toEqual({ kind: 'exit', code: 2, text: 'tool: TOOL_KEY_FILE is not set: expected an absolute path' });
    expect(parseConfig(defineCommand({ name: 'tool', summary: 's', options }), surroundings)).toEqual({
      kind: 'exit',
      code: 2,
      text: 'tool: --key-file is not set: expected an absolute path',
    });
  });

  it('asks the check about the values together, and says what it says', () => {
    const checked = defineCommand({
      name: 'tool',
      envPrefix: 'TOOL_',
      summary: 's',
      options: {
        min: { type: integer(0, 9), default: '1', help: 'Low' },
        max: { type: integer(0, 9), default: '5', help: 'High' },
      },
      check: ({ min, max }) => (min <= max ? undefined : `TOOL_MIN="${min}": expected at most TOOL_MAX`),
    });
    const run = (min: string) => parseConfig(checked, { argv: [], env: { TOOL_MIN: min }, version: '' });
    expect(run('5')).toMatchObject({ kind: 'run', config: { min: 5, max: 5 } });
    expect(run('6')).toEqual({
      kind: 'exit',
      code: 2,
      text: 'tool: TOOL_MIN="6": expected at most TOOL_MAX',
    });
    expect(run('x')).toMatchObject({ text: expect.stringContaining('whole number') });
  });

  it('is one line for any arguments and any variables', () => {
    const word = fc.oneof(
      fc.constantFrom('--api-bind', '--workers', '--dry-run', '--sources', '--workers=', '--\n', '7', '/a,b'),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 5 }), word, (argv, value) => {
        fc.pre(!argv.includes('--help') && !argv.includes('-h') && !argv.includes('--version'));
        const parsed = parse(argv, { TOOL_WORKERS: value, TOOL_API_BIND: value });
        if (parsed.kind === 'run') return;
        expect(parsed.code).toBe(2);
        expect(parsed.text).toMatch(/^tool: [^\r\n]*expected [^\r\n]*$/);
      }),
    );
  });
});

describe('what is asked', () => {
  it('lists every variable and every flag with its help and default', () => {
    const parsed = parse(['--help'], { TOOL_WORKERS: 'wrong, and of no interest' });
    if (parsed.kind !== 'exit') throw new Error('expected an exit');
    expect(parsed.code).toBe(0);
    const lines = parsed.text.split('\n');
    expect(lines[0]).toBe('tool: does things');
    const rows = [
      ['--api-bind', 'Where it listens', 'TOOL_API_BIND', 'unset'],
      ['--workers', 'How many at once', 'TOOL_WORKERS', 'default 4'],
      ['--grace', 'How long it waits', 'TOOL_GRACE', 'default 2s'],
      ['--dry-run', 'Changes nothing', 'TOOL_DRY_RUN', 'default false'],
      ['--sources', 'Where it may look', 'TOOL_SOURCES', 'default'],
      ['--help', 'This text'],
      ['--version', 'The version'],
    ];
    for (const [flag = '', ...parts] of rows) {
      const line = lines.find(candidate => candidate.startsWith(`  ${flag} `));
      for (const part of parts) expect(line).toContain(part);
    }
    expect(optionRows(command).map(row => row.flag)).toEqual(rows.slice(0, 5).map(([flag]) => flag));
  });

  it('answers -h like --help', () => {
    expect(parse(['-h'])).toEqual(parse(['--help']));
  });

  it('prints the version in one line', () => {
    expect(parse(['--version'])).toEqual({ kind: 'exit', code: 0, text: 'tool 1.2.3' });
  });
});

describe('variables of other makes', () => {
  const command = defineCommand({
    name: 'tool',
    envPrefix: 'TOOL_',
    summary: 'works',
    otherNames: { prefixes: ['OLD_', 'THEIR_TOOL_'], names: { serverUrl: ['TOOL_PEER_URL'] } },
    options: {
      serverUrl: { type: text, default: 'none', help: 'Server' },
      workers: { type: integer(1, 9), default: '1', help: 'Workers' },
    },
    environmentFile: { path: '/none', options: ['serverUrl'] },
  });
  const run = (env: Record<string, string>, argv: string[] = []) =>
    parseConfig(command, { argv, env, version: '1' });

  it.each([
    [{ OLD_WORKERS: '2' }, { workers: 2 }],
    [{ THEIR_TOOL_WORKERS: '2' }, { workers: 2 }],
    [{ TOOL_PEER_URL: 'x' }, { serverUrl: 'x' }],
    [{ OLD_WORKERS: '2', TOOL_WORKERS: '' }, { workers: 2 }],
    [{ OLD_WORKERS: '2', TOOL_WORKERS: '2' }, { workers: 2 }],
  ])('are read where ours is not set: %j', (env, config) => {
    expect(run(env)).toMatchObject({ kind: 'run', config, unknownEnv: [], overruled: [] });
  });

  it('are overruled by ours, which is reported where the values differ', () => {
    expect(run({ OLD_WORKERS: '3', TOOL_WORKERS: '2', THEIR_TOOL_WORKERS: '4' })).toMatchObject({
      config: { workers: 2 },
      overruled: [
        { name: 'OLD_WORKERS', by: 'TOOL_WORKERS' },
        { name: 'THEIR_TOOL_WORKERS', by: 'TOOL_WORKERS' },
      ],
    });
    expect(run({ OLD_SERVER_URL: 'a', TOOL_PEER_URL: 'b' })).toMatchObject({
      config: { serverUrl: 'b' },
      overruled: [{ name: 'OLD_SERVER_URL', by: 'TOOL_PEER_URL' }],
    });
    expect(run({ OLD_WORKERS: '3' }, ['--workers', '2'])).toMatchObject({ config: { workers: 2 } });
  });

  it('are named where they are wrong, unknown, or read from a file', () => {
    expect(run({ OLD_WORKERS: 'x' })).toMatchObject({ text: expect.stringContaining('OLD_WORKERS="x"') });
    expect(run({ OLD_WORKRES: '1', THEIR_TOOL_X: '1' })).toMatchObject({
      unknownEnv: ['OLD_WORKRES', 'THEIR_TOOL_X'],
    });
    expect(
      fromEnvironmentFile(command, { TOOL_PEER_URL: 'a', OLD_SERVER_URL: 'b', OLD_WORKERS: '2' }),
    ).toEqual({ TOOL_PEER_URL: 'a', OLD_SERVER_URL: 'b' });
    expect(run({}, ['--help'])).toMatchObject({
      text: expect.stringContaining('TOOL_… is not set: OLD_…, THEIR_TOOL_…, TOOL_PEER_URL'),
    });
  });
});

it('reports variables with the prefix that it does not know, and no others', () => {
  const parsed = parse([], { TOOL_WORKERS: '7', TOOL_WORKRES: '8', TOOLS_X: '1', PATH: '/bin' });
  expect(parsed).toMatchObject({ kind: 'run', unknownEnv: ['TOOL_WORKRES'] });
});

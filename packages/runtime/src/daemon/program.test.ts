import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';

/** A daemon of `tasks` (JavaScript), as a main.ts would run it, with one setting of its own. */
function daemon(tasks: string, graceMs = 5000): string {
  return `
    import { integer, logFilter, runDaemon, UnusableError } from ${JSON.stringify(import.meta.resolve('../index.ts'))};
    const command = {
      name: 'tool',
      envPrefix: 'TOOL_',
      summary: 'does things',
      options: {
        workers: { type: integer(1, 64), default: '4', help: 'How many at once' },
        logLevel: { type: logFilter, default: 'info', help: 'How much to say' },
      },
    };
    // As any real task, these hold a handle: with none left, Node ends the process with 13.
    const forever = () => new Promise(() => setInterval(() => {}, 60_000));
    const until = signal => Promise.race([forever(), new Promise(resolve => signal.addEventListener('abort', resolve))]);
    const up = () => process.stdout.write('up\\n');
    process.exit(await runDaemon(command, { argv: process.argv.slice(1), version: '1.2.3' }, {
      filter: config => config.logLevel,
      load: async () => (config, log) => (${tasks}),
      graceMs: ${graceMs},
      heap: 'small',
    }));`;
}

/** A command that runs `body` (JavaScript) and ends. */
function command(body: string): string {
  return `
    import { integer, runCommand } from ${JSON.stringify(import.meta.resolve('../index.ts'))};
    const command = {
      name: 'tool',
      envPrefix: 'TOOL_',
      summary: 'does things',
      options: { workers: { type: integer(1, 64), required: true, help: 'How many at once' } },
    };
    process.exit(await runCommand(command, { argv: process.argv.slice(1), version: '1.2.3' },
      async (config, unknownEnv) => { ${body} }));`;
}

function start(script: string, args: readonly string[] = [], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script, '--', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const written = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    written.stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    written.stderr += chunk.toString();
  });
  const closed = once(child, 'close');
  return {
    child,
    /** The next line of the log that says this. */
    async says(message: string): Promise<void> {
      for await (const line of createInterface({ input: child.stderr })) if (line.includes(message)) return;
      throw new Error(`it ended without saying "${message}"`);
    },
    async end() {
      const [code, signal] = (await closed) as [number | null, NodeJS.Signals | null];
      const lines = written.stderr.split('\n').slice(0, -1);
      return { code, signal, ...written, lines };
    },
  };
}

function run(script: string, args?: readonly string[], env?: Record<string, string>) {
  return start(script, args, env).end();
}

function json(lines: string[]): Record<string, unknown>[] {
  return lines.map(line => JSON.parse(line) as Record<string, unknown>);
}

describe('a command', () => {
  it('ends with the code that its body returns', async () => {
    const script = command(`process.stdout.write(config.workers + ' ' + unknownEnv); return 5;`);
    expect(await run(script, ['--workers', '7'], { TOOL_WORKRES: '8' })).toMatchObject({
      code: 5,
      stdout: '7 TOOL_WORKRES',
      stderr: '',
    });
  });

  it('ends with 1 and one line when its body throws', async () => {
    expect(await run(command(`throw new Error('no such key');`), ['--workers=7'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'tool: no such key\n',
    });
    expect(await run(command(`throw 'not an error';`), ['--workers=7'])).toMatchObject({
      code: 1,
      stderr: 'tool: not an error\n',
    });
  });

  it('ends with 2 and one line on a bad value, before its body runs', async () => {
    const script = command(`process.stdout.write('ran'); return 0;`);
    expect(await run(script, [], { TOOL_WORKERS: 'many' })).toMatchObject({
      code: 2,
      stdout: '',
      stderr: 'tool: TOOL_WORKERS="many": expected a whole number from 1 to 64\n',
    });
    expect(await run(script)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: 'tool: TOOL_WORKERS is not set: expected a whole number from 1 to 64\n',
    });
  });

  it('answers --help and --version on stdout with 0, before its body runs', async () => {
    const script = command(`process.stdout.write('ran'); return 3;`);
    expect(await run(script, ['--version'])).toMatchObject({ code: 0, stdout: 'tool 1.2.3\n', stderr: '' });
    const help = await run(script, ['--help']);
    expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('TOOL_WORKERS'), stderr: '' });
    expect(help.stdout).not.toContain('ran');
  });
});

describe('a daemon', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('stops its tasks on %s and ends with 0', async signal => {
    const script = daemon(
      `{ serve: async signal => { up(); await until(signal); process.stdout.write('closed'); } }`,
    );
    const started = start(script);
    await once(started.child.stdout, 'data');
    started.child.kill(signal);
    const ended = await started.end();
    expect(ended).toMatchObject({ code: 0, stdout: 'up\nclosed' });
    expect(json(ended.lines)).toMatchObject([
      { msg: 'starting', version: '1.2.3', component: 'tool' },
      { msg: 'stopping', signal },
      { msg: 'stopped' },
    ]);
  });

  it('ends at once on a second signal', async () => {
    const started = start(daemon('{ serve: async () => { up(); await forever(); } }', 3_600_000));
    await once(started.child.stdout, 'data');
    const stopping = started.says('stopping');
    started.child.kill('SIGTERM');
    await stopping;
    started.child.kill('SIGTERM');
    expect(await started.end()).toMatchObject({ code: null, signal: 'SIGTERM' });
  });

  it('ends with 1 and names the tasks that do not stop in time', async () => {
    const started = start(daemon('{ serve: async () => { up(); await forever(); }, other: until }', 50));
    await once(started.child.stdout, 'data');
    started.child.kill('SIGTERM');
    const ended = await started.end();
    expect(ended.code).toBe(1);
    expect(json(ended.lines).at(-1)).toMatchObject({ level: 'error', tasks: ['serve'] });
  });

  it('ends with 1 and names the task that fails, and why', async () => {
    const ended = await run(
      daemon(`{ other: until, serve: async () => { throw new Error('port is taken'); } }`),
    );
    expect(ended.code).toBe(1);
    expect(json(ended.lines).at(-1)).toMatchObject({
      level: 'error',
      task: 'serve',
      msg: 'task serve failed: port is taken; the process ends with it',
      err: { message: 'port is taken' },
    });
  });

  it('says in one line, without a stack, what it needs from outside and cannot use', async () => {
    const ended = await run(
      daemon(`{ other: until, serve: async () => { throw new UnusableError('KEY=/k: cannot be read'); } }`),
    );
    expect(ended.code).toBe(1);
    const last = ended.lines.at(-1) ?? '';
    expect(JSON.parse(last)).toMatchObject({
      level: 'error',
      task: 'serve',
      msg: 'task serve failed: KEY=/k: cannot be read; the process ends with it',
    });
    expect(last).not.toContain('stack');
    expect(last.length).toBeLessThan(250);
  });

  it('ends with 1 and names the task that returns before it was asked', async () => {
    const ended = await run(daemon('{ other: until, serve: async () => {} }'));
    expect(ended.code).toBe(1);
    expect(json(ended.lines).at(-1)).toMatchObject({
      level: 'error',
      msg: 'task serve ended by itself; the process ends with it',
    });
  });

  it.each([
    ['uncaughtException', `setImmediate(() => { throw new Error('off the path'); })`],
    ['unhandledRejection', `Promise.reject(new Error('off the path'))`],
  ])('ends with 1 and a line on an uncaught error: %s', async (origin, fault) => {
    const ended = await run(daemon(`{ serve: async () => { ${fault}; await forever(); } }`));
    expect(ended.code).toBe(1);
    expect(json(ended.lines).at(-1)).toMatchObject({
      level: 'error',
      origin,
      err: { message: 'off the path', stack: expect.stringContaining('off the path') },
    });
  });

  it('ends with 1 and one line when its tasks cannot even be made', async () => {
    const ended = await run(daemon(`(() => { throw new Error('no token file'); })()`));
    expect(ended.code).toBe(1);
    expect(ended.lines.at(-1)).toBe('tool: no token file');
  });

  it('ends with 2 and one line on a bad value, before it says anything else', async () => {
    expect(await run(daemon('{}'), ['--log-level', 'loud'])).toMatchObject({
      code: 2,
      stdout: '',
      lines: [expect.stringMatching(/^tool: --log-level="loud": expected /)],
    });
  });

  it('warns of a variable with its prefix that it does not know', async () => {
    const ended = await run(daemon('{ serve: async () => {} }'), [], { TOOL_WORKRES: '8' });
    expect(json(ended.lines)[0]).toMatchObject({ level: 'warn', name: 'TOOL_WORKRES' });
  });

  it('is called by its name, and keeps its command line', async () => {
    const script = daemon(`{ serve: async () => { up(); await forever(); } }`);
    const started = start(script, ['--workers=7']);
    await once(started.child.stdout, 'data');
    const proc = (file: string) => readFile(`/proc/${started.child.pid}/${file}`, 'utf8');
    expect(await proc('comm')).toBe('tool\n');
    expect(await proc('cmdline')).toContain('--workers=7');
    started.child.kill('SIGTERM');
    await started.end();
  });

  it('logs a bad value to the journal as an error', async () => {
    const script = `
      import { fstatSync } from 'node:fs';
      const { dev, ino } = fstatSync(2, { bigint: true });
      process.env.JOURNAL_STREAM = \`\${dev}:\${ino}\`;
      ${daemon('{}')}`;
    const ended = await run(script, ['--workers', 'many']);
    expect(ended.lines).toEqual([expect.stringMatching(/^<3>tool: --workers="many": expected /)]);
  });

  it('says as much as its filter lets it', async () => {
    const script = daemon('{ serve: async () => { log.info("hidden"); log.child("a").debug("seen"); } }');
    const ended = await run(script, ['--log-level=off,tool.a=debug']);
    expect(json(ended.lines)).toMatchObject([{ component: 'tool.a', msg: 'seen' }]);
  });
});

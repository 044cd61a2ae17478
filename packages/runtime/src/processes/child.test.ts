import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ChildError, type ChildOptions, type ChildResult, runChild } from './child.ts';

/** Perl starts in a few ms and is on every Debian. */
function perl(
  script: string,
  options: Partial<ChildOptions> = {},
  args: readonly string[] = [],
): Promise<ChildResult> {
  return runChild('perl', ['-MIO::Socket::UNIX', '-e', script, '--', ...args], {
    timeoutMs: 20_000,
    ...options,
  });
}

async function failure(result: Promise<ChildResult>): Promise<ChildError> {
  const error: unknown = await result.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ChildError);
  return error as ChildError;
}

let folder: string;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'child-')));
});

afterEach(() => rm(folder, { recursive: true }));

describe('a child that dies with its parent', () => {
  it('does not act upon the half of its input that it got when that was killed', async () => {
    const [began, acted] = [join(folder, 'began'), join(folder, 'acted')];
    const script =
      'open B, ">", shift; print B $$; close B; 1 while <STDIN>; select undef, undef, undef, 0.3; open A, ">", shift';
    const parent = spawn(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `import { runChild } from ${JSON.stringify(fileURLToPath(new URL('./child.ts', import.meta.url)))};
         function* endless() { for (;;) yield 'a line\\n'.repeat(1000); }
         await runChild('perl', ${JSON.stringify(['-e', script, began, acted])},
           { timeoutMs: 60_000, input: { parts: endless() }, diesWithUs: true });`,
      ],
      { stdio: 'inherit' },
    );
    const ended = once(parent, 'close');
    const pid = await vi.waitFor(
      async () => {
        const text = await readFile(began, 'utf8');
        expect(text).not.toBe('');
        return text;
      },
      { timeout: 40_000 },
    );
    parent.kill('SIGKILL');
    await ended;
    await vi.waitFor(() => expect(access(`/proc/${pid}`)).rejects.toThrow(), { timeout: 40_000 });
    expect(await readdir(folder)).toEqual(['began']);
  });

  it('differs from a program that cannot be started, and keeps its exit code', async () => {
    const options = { timeoutMs: 20_000, diesWithUs: true };
    expect((await failure(runChild('no-such-program-is-there', [], options))).reason).toBe('spawn');
    expect(await runChild('perl', ['-e', 'exit 127'], options)).toMatchObject({ code: 127 });
    expect((await failure(runChild('sleep', ['600'], { ...options, timeoutMs: 300 }))).reason).toBe(
      'timeout',
    );
  });
});

describe('a child that ends', () => {
  it('returns its output and exit code, and a code other than zero is not an error', async () => {
    expect(await perl('print "out"; print STDERR "err"; exit 3')).toEqual({
      code: 3,
      signal: null,
      stdout: 'out',
      stderr: 'err',
      truncated: false,
    });
  });

  it('yields the signal that ended it', async () => {
    expect(await perl('kill "TERM", $$; sleep 60')).toMatchObject({ code: null, signal: 'SIGTERM' });
  });

  it('runs in the given folder with the given environment', async () => {
    const { stdout } = await perl('use Cwd; print getcwd(), " ", join ",", %ENV', {
      cwd: folder,
      env: { PATH: process.env['PATH'], GREETING: 'hello' },
    });
    expect(stdout.startsWith(`${folder} `)).toBe(true);
    expect(stdout).toContain('GREETING,hello');
    expect(stdout).not.toContain('HOME');
  });

  it('reads its input to the end', async () => {
    const input = 'ä'.repeat(1_000_000);
    const { stdout, truncated } = await runChild('cat', [], {
      input,
      timeoutMs: 20_000,
      maxOutputBytes: 1 << 22,
    });
    expect(stdout === input).toBe(true);
    expect(truncated).toBe(false);
  });

  it('reads input that is made as it takes it to the end, and never the end of half of it', async () => {
    const part = 'ä'.repeat(500);
    const many = Array.from({ length: 2000 }, () => part);
    const { stdout } = await perl('print while <STDIN>', { input: { parts: many }, maxOutputBytes: 1 << 22 });
    expect(stdout === many.join('')).toBe(true);
    function* broken() {
      yield* many;
      throw new Error('no more');
    }
    const marker = join(folder, 'ended');
    const script = `1 while <STDIN>; open my $file, ">", "${marker}"`;
    await expect(perl(script, { input: { parts: broken() } })).rejects.toThrow('no more');
    expect(await readdir(folder)).toEqual([]);
  });

  it('finds its input empty when none is given', async () => {
    expect(await runChild('cat', [], { timeoutMs: 20_000 })).toMatchObject({ code: 0, stdout: '' });
  });

  it('may leave a large input unread', async () => {
    const input = 'x'.repeat(10_000_000);
    expect(await perl('exit 0', { input })).toMatchObject({ code: 0 });
    expect(await perl('close STDIN; exit 4', { input })).toMatchObject({ code: 4 });
  });
});

describe('output', () => {
  it('is kept up to the limit, and the child still runs to its end', async () => {
    const result = await perl('print "x" x 5_000_000; print STDERR "done"', { maxOutputBytes: 1000 });
    expect(result).toMatchObject({ code: 0, stdout: 'x'.repeat(1000), stderr: 'done', truncated: true });
  });

  it('of exactly the limit is whole', async () => {
    expect(await perl('print "x" x 1000', { maxOutputBytes: 1000 })).toMatchObject({
      stdout: 'x'.repeat(1000),
      truncated: false,
    });
  });

  it('is bounded on stderr as well', async () => {
    expect(await perl('print STDERR "x" x 1001', { maxOutputBytes: 1000 })).toMatchObject({
      stderr: 'x'.repeat(1000),
      truncated: true,
    });
  });

  it('is bounded at 1 MiB by default', async () => {
    const { stdout, truncated } = await perl('print "x" x 1_048_577');
    expect([stdout.length, truncated]).toEqual([1_048_576, true]);
  });
});

describe('output as it comes', () => {
  it('is seen whole, also what is not kept', async () => {
    const seen = { stdout: 0, stderr: 0 };
    await perl('print "x" x 5_000_000; print STDERR "y" x 70_000', {
      maxOutputBytes: 10,
      onOutput: (chunk, stream) => {
        seen[stream] += chunk.length;
      },
    });
    expect(seen).toEqual({ stdout: 5_000_000, stderr: 70_000 });
  });

  it('keeps a child alive that must not be silent, and silence ends it', async () => {
    const words = '$| = 1; for (1..8) { print "x"; select undef, undef, undef, 0.5 }';
    expect(await perl(words, { silenceMs: 3000 })).toMatchObject({ code: 0, stdout: 'xxxxxxxx' });
    expect(await failure(perl('print STDERR "x"; sleep 60', { silenceMs: 700 }))).toMatchObject({
      reason: 'timeout',
      message: 'perl: killed after 700 ms without output',
    });
  });
});

describe('arguments', () => {
  it.each(['a; touch pwned', '$(touch pwned)', '`touch pwned`', '| touch pwned', '> pwned', '* $HOME "\''])(
    'reach the program untouched by any shell: %s',
    async argument => {
      await mkdir(join(folder, 'sub'));
      const { stdout } = await perl('print @ARGV, "|", join ",", glob "*"', { cwd: folder }, [argument]);
      expect(stdout).toBe(`${argument}|sub`);
    },
  );

  it('reach the program whatever is in them', async () => {
    const argument = fc.string({ unit: 'binary' }).filter(text => !text.includes('\0'));
    await fc.assert(
      fc.asyncProperty(fc.array(argument, { maxLength: 4 }), async args => {
        const { stdout } = await perl('print map { "$_\\0" } @ARGV', {}, args);
        expect(stdout.split('\0').slice(0, -1)).toEqual(args);
      }),
      { numRuns: 15 },
    );
  });
});

describe('a child that cannot be started', () => {
  it.each([
    ['because there is no such program', '/nonexistent/program', [], {}, 'ENOENT'],
    ['because it is no program', '/etc/passwd', [], {}, 'EACCES'],
    ['because its folder is missing', 'true', [], { cwd: '/nonexistent' }, 'ENOENT'],
    ['because its arguments are too long', 'true', ['x'.repeat(1 << 20)], {}, 'E2BIG'],
    ['because an argument has a NUL in it', 'true', ['a\0b'], {}, 'null bytes'],
  ])('is a failure of the spawn, %s', async (_why, program, args, options, message) => {
    const error = await failure(runChild(program, args, { timeoutMs: 20_000, ...options }));
    expect(error).toMatchObject({ name: 'ChildError', reason: 'spawn' });
    expect(error.message.startsWith(`${program}: `)).toBe(true);
    expect(error.message).toContain(message);
    expect(error.cause).toBeInstanceOf(Error);
  });

  it('is a failure of the spawn when this process has no descriptors left', async () => {
    const script = `
      import { openSync } from 'node:fs';
      import { runChild } from ${JSON.stringify(import.meta.resolve('./child.ts'))};
      try { for (;;) openSync('/dev/null'); } catch {}
      const error = await runChild('true', [], { timeoutMs: 20000 }).catch(thrown => thrown);
      process.stdout.write(error.name + ' ' + error.reason + ' ' + error.cause.code);
    `;
    const limited = ['--nofile=64:64', process.execPath, '--input-type=module', '--eval', script];
    expect(await runChild('prlimit', limited, { timeoutMs: 20_000 })).toMatchObject({
      stdout: 'ChildError spawn EMFILE',
      code: 0,
    });
  });
});

describe('a child that must end', () => {
  let server: Server;
  let path: string;

  beforeEach(async () => {
    path = join(folder, 'socket');
    server = createServer();
    server.listen(path);
    await once(server, 'listening');
  });

  afterEach(async () => {
    server.close();
    await once(server, 'close');
  });

  /** Accepts that many connections; each stays for as long as the process that made it lives. */
  function connections(count: number): Promise<Socket[]> {
    return new Promise(resolve => {
      const sockets: Socket[] = [];
      server.on('connection', socket => {
        socket.resume();
        if (sockets.push(socket) === count) resolve(sockets);
      });
    });
  }

  const family = 'fork; fork; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die; <$s>';

  it('is killed with all it started once its time is up', async () => {
    const alive = connections(4);
    const result = failure(perl(family, { timeoutMs: 1500 }, [path]));
    const gone = (await alive).map(socket => once(socket, 'close'));
    expect(await result).toMatchObject({ reason: 'timeout', message: 'perl: killed after 1500 ms' });
    await Promise.all(gone);
  });

  it('is killed with all it started when it is aborted', async () => {
    const alive = connections(4);
    const abort = new AbortController();
    const result = failure(perl(family, { signal: abort.signal }, [path]));
    const gone = (await alive).map(socket => once(socket, 'close'));
    abort.abort();
    expect(await result).toMatchObject({ reason: 'aborted', message: 'perl: aborted' });
    await Promise.all(gone);
  });

  it('is killed even when it ignores signals that can be ignored', async () => {
    const alive = connections(1);
    const abort = new AbortController();
    const script =
      '$SIG{$_} = "IGNORE" for qw(TERM INT HUP); my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]); sleep 60';
    const result = failure(perl(script, { signal: abort.signal }, [path]));
    await alive;
    abort.abort();
    expect(await result).toMatchObject({ reason: 'aborted' });
  });

  it('does not hold the answer back through a descendant that left its group and keeps its output open', async () => {
    const alive = connections(1);
    const abort = new AbortController();
    const daemon = `
      use POSIX;
      if (!fork) { POSIX::setsid(); my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]); <$s>; exit }
      wait`;
    const result = failure(perl(daemon, { signal: abort.signal }, [path]));
    const [escaped] = await alive;
    abort.abort();
    expect(await result).toMatchObject({ reason: 'aborted' });
    escaped?.destroy(); // which ends it: it waits for a line
  });

  it('never starts when it was aborted before', async () => {
    const marker = join(folder, 'marker');
    const error = await failure(
      runChild('touch', [marker], { timeoutMs: 20_000, signal: AbortSignal.abort() }),
    );
    expect(error).toMatchObject({ reason: 'aborted', message: 'touch: aborted before it started' });
    await writeFile(marker, '', { flag: 'wx' });
  });

  it('is not touched by an abort that comes after its end', async () => {
    const abort = new AbortController();
    expect(await perl('exit 0', { signal: abort.signal })).toMatchObject({ code: 0 });
    abort.abort();
  });
});

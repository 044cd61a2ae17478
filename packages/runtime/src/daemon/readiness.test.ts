import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../logs/logger.ts';
import { createReadiness } from './readiness.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'readiness-'));
});

afterEach(() => rm(folder, { recursive: true }));

function quietLog() {
  const log = createLogger('test', { level: 'off', components: new Map() }, false);
  return { log, warn: vi.spyOn(log, 'warn') };
}

/** systemd's end of NOTIFY_SOCKET. Perl, since Node has no unix datagram sockets. */
async function listen() {
  const path = join(folder, 'notify');
  const script = `
    $| = 1;
    my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die $!;
    print "listening\\n";
    while (defined $socket->recv(my $datagram, 65536)) { print unpack("H*", $datagram), "\\n" }`;
  const child = spawn('perl', ['-MIO::Socket::UNIX', '-e', script, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('listening');
  return {
    env: { PATH: process.env['PATH'], NOTIFY_SOCKET: path },
    /** What arrived since the last call, in order: so many datagrams, each a list of assignments. */
    async received(count: number): Promise<string[][]> {
      const datagrams: string[][] = [];
      while (datagrams.length < count) {
        const { value, done } = await lines.next();
        if (done === true) throw new Error('the listener ended');
        const assignments = Buffer.from(value, 'hex').toString().split('\n');
        // systemd-notify's own: it stays until systemd has read what it sent.
        if (assignments[0] !== 'BARRIER=1') datagrams.push(assignments.filter(line => line !== ''));
      }
      return datagrams;
    },
    async close() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

describe('with a supervisor that listens', () => {
  let listener: Awaited<ReturnType<typeof listen>>;

  beforeEach(async () => {
    listener = await listen();
  });

  afterEach(() => listener.close());

  it('reports readiness, every status and the stop, in the order of the calls', async () => {
    const { log, warn } = quietLog();
    const readiness = createReadiness(log, listener.env);
    await Promise.all([
      readiness.ready('3 hosts'),
      readiness.status('4 hosts'),
      readiness.status('5 hosts'),
      readiness.stopping(),
    ]);
    expect(await listener.received(4)).toEqual([
      ['READY=1', 'STATUS=3 hosts'],
      ['STATUS=4 hosts'],
      ['STATUS=5 hosts'],
      ['STOPPING=1'],
    ]);
    expect(warn).not.toHaveBeenCalled();
  });

  it.each([
    ['fine\nMAINPID=1', 'STATUS=fine MAINPID=1'],
    ['fine\r\nMAINPID=1', 'STATUS=fine MAINPID=1'],
    ['fine\n\n\nWATCHDOG=trigger\n', 'STATUS=fine WATCHDOG=trigger '],
    ['$(id) `id` ; --pid=1', 'STATUS=$(id) `id` ; --pid=1'],
  ])('a status cannot carry a second variable: %j', async (status, assignment) => {
    const readiness = createReadiness(quietLog().log, listener.env);
    await readiness.status(status);
    await readiness.ready(status);
    expect(await listener.received(2)).toEqual([[assignment], ['READY=1', assignment]]);
  });

  it('continues after a status that cannot be sent', async () => {
    const { log, warn } = quietLog();
    const readiness = createReadiness(log, listener.env);
    await readiness.status('with a NUL \0');
    await readiness.status('without');
    expect(await listener.received(1)).toEqual([['STATUS=without']]);
    expect(warn).toHaveBeenCalledOnce();
  });
});

describe('a supervisor that cannot be reached', () => {
  const told = [
    expect.objectContaining({}),
    expect.stringContaining('systemd keeps the state it knew'),
  ] as const;

  it('does not start systemd-notify without a socket', async () => {
    const { log, warn } = quietLog();
    // Without a PATH it could not be started, and that would be logged.
    const readiness = createReadiness(log, { PATH: folder });
    await readiness.ready('up');
    await readiness.status('still up');
    await readiness.stopping();
    expect(warn).not.toHaveBeenCalled();
  });

  it('is logged and harmless when systemd-notify is not installed', async () => {
    const { log, warn } = quietLog();
    const empty = join(folder, 'empty');
    await mkdir(empty);
    const readiness = createReadiness(log, { PATH: empty, NOTIFY_SOCKET: join(folder, 'notify') });
    await readiness.ready('up');
    await readiness.stopping();
    expect(warn.mock.calls).toEqual([told, told]);
  });

  it('is logged and harmless when nothing listens on the socket', async () => {
    const { log, warn } = quietLog();
    const readiness = createReadiness(log, {
      PATH: process.env['PATH'],
      NOTIFY_SOCKET: join(folder, 'missing'),
    });
    await readiness.ready('up');
    expect(warn.mock.calls).toEqual([told]);
    expect(warn.mock.calls[0]?.[0]).toMatchObject({ code: 1 });
  });
});

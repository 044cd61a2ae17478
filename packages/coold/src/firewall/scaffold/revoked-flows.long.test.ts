// What a revoked rule had opened ends at once, and does not come back by itself: real packets, both variants of iptables.
// Needs root.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Netns } from '@coold/testbed/netns';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { at, createScaffoldLab, dropMs, type Lab, passMs } from '../../../test/scaffold-lab.ts';

/**
 * A conversation that is kept. Prints "ready"; then, for each line "say" on its standard input, says something to the other
 * end; prints "heard" for whatever it hears. Arguments: role, protocol, address, port, local port of the one that asks.
 */
const talker = `
const [role, protocol, address, port, localPort] = process.argv.slice(1);
const say = line => process.stdout.write(line + '\\n');
let speak = () => {};
if (protocol === 'tcp') {
  const net = require('node:net');
  const use = socket => {
    socket.on('data', () => say('heard'));
    socket.on('error', () => {});
    speak = () => socket.write('x');
  };
  if (role === 'answers') net.createServer(socket => { use(socket); say('ready'); }).listen(Number(port), address, () => say('listening'));
  else { const socket = net.connect({ host: address, port: Number(port), localPort: Number(localPort) }, () => say('ready')); use(socket); }
} else {
  const socket = require('node:dgram').createSocket('udp4');
  let other = role === 'answers' ? undefined : { address, port: Number(port) };
  socket.on('message', (_, from) => { if (role === 'answers') other = from; say('heard'); });
  socket.bind(role === 'answers' ? Number(port) : Number(localPort), () => say(role === 'answers' ? 'listening' : 'ready'));
  speak = () => other && socket.send('x', other.port, other.address);
}
require('node:readline').createInterface({ input: process.stdin }).on('line', () => speak());
`;

interface Talker extends AsyncDisposable {
  until(line: string): Promise<void>;
  say(): void;
  /** How often it heard something. */
  heard(): number;
}

function talk(ns: Netns, ...args: string[]): Talker {
  const child = spawn(
    'nsenter',
    ['-t', String(ns.pid), '-n', '--', process.execPath, '-e', talker, ...args],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines: string[] = [];
  let changed = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', line => {
    lines.push(line);
    changed.resolve();
    changed = Promise.withResolvers();
  });
  const closed = once(child, 'close');
  return {
    async until(line) {
      const signal = AbortSignal.timeout(passMs);
      while (!lines.includes(line)) {
        if (signal.aborted) throw new Error(`not in time: ${line}; ${lines.join()}`);
        await Promise.race([changed.promise, once(signal, 'abort')]);
      }
    },
    say: () => void child.stdin.write('say\n'),
    heard: () => lines.filter(line => line === 'heard').length,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/** A container that answers, and one that asks. */
interface Conversation extends AsyncDisposable {
  asks: Talker;
  answers: Talker;
  /** Says something in that direction. @returns whether it arrives */
  passes(direction: 'asks' | 'answers'): Promise<boolean>;
}

const wait = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

/** @param localPort of the one that asks: one that no conversation had before, whose end the kernel may still be telling */
async function converse(
  from: Netns,
  to: Netns,
  address: string,
  protocol: 'tcp' | 'udp',
  localPort: number,
): Promise<Conversation> {
  const port = '7000';
  await using opened = new AsyncDisposableStack();
  const answers = opened.use(talk(to, 'answers', protocol, '0.0.0.0', port));
  await answers.until('listening');
  const asks = opened.use(talk(from, 'asks', protocol, address, port, String(localPort)));
  await asks.until('ready');
  const both = opened.move();
  const other = { asks: answers, answers: asks };
  const speaker = { asks, answers };
  return {
    ...speaker,
    async passes(direction) {
      const before = other[direction].heard();
      speaker[direction].say();
      const end = performance.now() + dropMs;
      while (performance.now() < end && other[direction].heard() === before) await wait(10);
      return other[direction].heard() > before;
    },
    [Symbol.asyncDispose]: () => both.disposeAsync(),
  };
}

describe.each(['nft', 'legacy'] as const)('with iptables-%s', backend => {
  let lab: Lab;
  let localPort = 40_000;
  const nextPort = () => (localPort += 1);
  beforeAll(async () => {
    lab = await createScaffoldLab(backend);
  }, 60_000);
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await lab.reset();
    await lab.apply();
  });

  const pairs = [
    ['within a bridge', () => [lab.a1, lab.a2] as const, at.a1, at.a2],
    ['between bridges', () => [lab.a1, lab.b1] as const, at.a1, at.b1],
    ['from another host', () => [lab.peer, lab.a1] as const, at.peer, at.a1],
  ] as const;

  for (const protocol of ['tcp', 'udp'] as const)
    for (const bridged of ['0', '1'])
      test.each(pairs)(
        `${protocol}, %s (bridge-nf-call-iptables=${bridged}): both directions end when the rule does`,
        async (_, ends, src, dst) => {
          await lab.host.exec('sysctl', ['-qw', `net.bridge.bridge-nf-call-iptables=${bridged}`]);
          await lab.allow(src, dst, protocol, '7000');
          const [from, to] = ends();
          await using conversation = await converse(from, to, dst, protocol, nextPort());
          expect(await conversation.passes('asks')).toBe(true);
          expect(await conversation.passes('answers')).toBe(true);
          await lab.revoke(src, dst, protocol, '7000');
          expect(await conversation.passes('answers')).toBe(false);
          expect(await conversation.passes('asks')).toBe(false);
          // However long both go on.
          expect(await conversation.passes('answers')).toBe(false);
          if (protocol === 'tcp') return;
          // A datagram passes again as soon as a rule allows it.
          await lab.allow(src, dst, protocol, '7000');
          expect(await conversation.passes('asks')).toBe(true);
          expect(await conversation.passes('answers')).toBe(true);
        },
      );

  test('the other end does not open it again once the connection is forgotten', async () => {
    await lab.allow(at.peer, at.a1, 'tcp', '7000');
    await using conversation = await converse(lab.peer, lab.a1, at.a1, 'tcp', nextPort());
    expect(await conversation.passes('asks')).toBe(true);
    await lab.revoke(at.peer, at.a1, 'tcp', '7000');
    await lab.forgetConnections();
    // It would leave for another host as something that this one begins, in the middle of a connection.
    expect(await conversation.passes('answers')).toBe(false);
    expect(await conversation.passes('asks')).toBe(false);
    expect(await conversation.passes('answers')).toBe(false);
  });

  test('a connection that both ends open at once is opened by neither, and one that asks another host is', async () => {
    // The answer of another host is a SYN, too: what a program of ours asked is no reason to let in one that opens.
    const seen = await lab.count(lab.a1, `ip saddr ${at.peer} tcp flags & (syn | ack) == syn`);
    const open = (ns: Netns, address: string, from: string, to: string, local: string) =>
      ns.exec(
        process.execPath,
        [
          '-e',
          `const s = require('node:net').connect({ host: '${address}', port: ${to}, localPort: ${from}, localAddress: '${local}' }); s.on('error', () => {}); setTimeout(() => process.exit(), 600)`,
        ],
        { mayFail: true },
      );
    // Neither has a socket that listens; each drops what would refuse it.
    for (const ns of [lab.a1, lab.peer])
      await ns.exec('nft', ['-f', '-'], {
        input:
          'table ip quiet { chain output { type filter hook output priority 0; tcp flags & rst == rst drop; }; }\n',
      });
    try {
      await Promise.all([
        open(lab.a1, at.peer, '5001', '5002', at.a1),
        open(lab.peer, at.a1, '5002', '5001', at.peer),
      ]);
      expect(await seen()).toBe(0);
    } finally {
      for (const ns of [lab.a1, lab.peer]) await ns.exec('nft', ['delete', 'table', 'ip', 'quiet']);
    }
    expect(await lab.a1.reach('tcp', at.peer, 80, passMs)).toBe(at.a1);
  });

  test('other rules, egress and published ports go on', async () => {
    await lab.allow(at.peer, at.a1, 'tcp', '7000');
    await lab.allow(at.a1, at.a2, 'tcp', '7000');
    await using out = await converse(lab.a1, lab.world, at.world, 'tcp', nextPort());
    await lab.revoke(at.a1, at.a2, 'tcp', '7000');
    expect(await out.passes('asks')).toBe(true);
    expect(await out.passes('answers')).toBe(true);
    await using other = await converse(lab.peer, lab.a1, at.a1, 'tcp', nextPort());
    expect(await other.passes('asks')).toBe(true);
    expect(await other.passes('answers')).toBe(true);
  });
});

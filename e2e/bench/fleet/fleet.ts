// One process with a share of the fleet: hosts that dial, send Hello, answer every command at once and redial as coold
// does. Arguments: URL, key file, first host, end of hosts. It logs a line whenever the number of accepted hosts
// changes.
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { mintToken } from '@coold/broker/token';
import { ClientMsgSchema, HelloSchema, ResponseSchema, ServerMsgSchema } from '@coold/proto';
import { createBackoff } from '@coold/runtime';
import { dialRaw, type RawHost } from './raw-host.ts';

const [url = '', keyPath = '', first = '', end = ''] = process.argv.slice(2);
const key = await readFile(keyPath, 'utf8');
/** docs/contract.md §1: both ends PING every 30 s. */
const pingEveryMs = 30_000;
/** Concurrent dials while the fleet first connects. After losing its broker, only the backoff paces a fleet. */
const dialsAtOnce = 32;
/**
 * How long a dial may take until the broker accepts it, as with coold's keepalive. A broker that hangs must not hold a
 * host for ever.
 */
const dialMs = 40_000;

const live = new Set<RawHost>();
const refusals: Record<string, number> = {};
let accepted = 0;
let said = '';
let dialling = 0;
const queue: (() => void)[] = [];

const hello = clientMsg({
  case: 'hello',
  value: create(HelloSchema, {
    hostMgmtIp: '100.64.0.9',
    cooldVersion: '0.1.0',
    schemaMin: 1,
    schemaMax: 2,
    capabilities: ['coold'],
  }),
});
for (let n = Number(first); n < Number(end); n += 1) void keepHost(`host-${n}`);
setInterval(report, 100);
spreadPings();

async function keepHost(hostId: string): Promise<void> {
  const token = await mintToken(key, { hostId, caps: ['coold'], ttlMs: 86_400_000 });
  const backoff = createBackoff({ firstMs: 1000, maxMs: 60_000 });
  await place();
  for (let round = 1; ; round += 1) {
    let isIn = false;
    const settle = () => {
      if (round === 1) release();
    };
    const host = dialRaw({
      url,
      token,
      hello,
      answer,
      onAccepted() {
        isIn = true;
        accepted += 1;
        clearTimeout(late);
        backoff.reset();
        settle();
      },
    });
    const late = setTimeout(() => host.destroy(), dialMs);
    live.add(host);
    const why = await host.ended;
    clearTimeout(late);
    live.delete(host);
    if (isIn) accepted -= 1;
    else settle();
    if (why.startsWith('status')) refusals[why] = (refusals[why] ?? 0) + 1;
    await delay(backoff.next());
  }
}

/** Resolves when a host may start its first dial. */
function place(): Promise<void> {
  if (dialling >= dialsAtOnce) return new Promise(resolve => queue.push(resolve));
  dialling += 1;
  return Promise.resolve();
}

function release(): void {
  const next = queue.shift();
  if (next === undefined) dialling -= 1;
  else next();
}

/** Each second, one host in thirty sends a PING, as if the hosts had started at random times. */
function spreadPings(): void {
  const turns = 30;
  let turn = 0;
  setInterval(() => {
    turn = (turn + 1) % turns;
    let n = 0;
    for (const host of live) {
      if (n % turns === turn) host.ping();
      n += 1;
    }
  }, pingEveryMs / turns);
}

function answer(command: Buffer): Buffer | undefined {
  const { requestId, command: asked } = fromBinary(ServerMsgSchema, command);
  if (asked.case !== 'listContainers') return undefined;
  const body = { case: 'listContainers' as const, value: { containers: [] } };
  return clientMsg({ case: 'response', value: create(ResponseSchema, { requestId, body }) });
}

function clientMsg(payload: NonNullable<MessageInitShape<typeof ClientMsgSchema>['payload']>): Buffer {
  return Buffer.from(toBinary(ClientMsgSchema, create(ClientMsgSchema, { payload })));
}

function report(): void {
  const line = JSON.stringify({ msg: 'fleet', accepted, refusals });
  if (line === said) return;
  said = line;
  process.stderr.write(`${line}\n`);
}

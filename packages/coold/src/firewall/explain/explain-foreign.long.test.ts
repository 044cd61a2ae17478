// What is said of flows on a host whose scaffold is that of `coolify init`, beside what packets do: as its unit leaves it, with the
// guard that coold puts beside it, and after it was switched off. Both variants of iptables. Needs root.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  foreignBridge,
  foreignPermissiveScript,
  foreignUnitScript,
  type LogLine,
  scratchFolder,
  startProgram,
} from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { at, createScaffoldLab, dropMs, type Lab } from '../../../test/scaffold-lab.ts';
import { hasBridgeConntrack } from '../scaffold/apply-scaffold.ts';
import type { ExplainedFlow } from './explain-flow.ts';

const child = fileURLToPath(new URL('../../../test/explaining-child.ts', import.meta.url));
const subnets = ['10.210.0.0/24', '10.210.1.0/24'];
const ends = ['a1', 'a2', 'b1', 'plain', 'peer'] as const;
type End = (typeof ends)[number];
interface Flow {
  from: End;
  to: End;
  proto: 'tcp' | 'udp';
  port: number;
}

/** Each pair, by both protocols. The peer has no route to a network that is no part of the mesh. */
const flows: readonly Flow[] = ends
  .flatMap(from =>
    ends.filter(to => to !== from && !(from === 'peer' && to === 'plain')).map(to => [from, to] as const),
  )
  .flatMap(([from, to]) => (['tcp', 'udp'] as const).map(proto => ({ from, to, proto, port: 0 })))
  .map((flow, index) => ({ ...flow, port: 2000 + index }));
/** One of each kind of way, and of each protocol. */
const allowed = flows.filter(({ from, to, proto }) =>
  ['a2 a1 tcp', 'a1 b1 udp', 'b1 a2 tcp', 'peer b1 tcp', 'plain a1 udp'].includes(`${from} ${to} ${proto}`),
);

/** Sends the first packet of each flow. Its input is a list of protocol, source, destination and port. */
const sender = `
import json, socket, sys, time
held = []
for proto, source, target, port in json.load(sys.stdin):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if proto == 'tcp' else socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.setblocking(False)
    held.append(s)
    try:
        s.connect((target, port))
        if proto == 'udp': s.send(b'?')
    except OSError: pass
time.sleep(${dropMs / 1000})
`;
const counting = `table ip arrivals {
  set seen { type inet_proto . inet_service; flags dynamic; }
  chain arrive {
    type filter hook prerouting priority -400;
    meta l4proto { tcp, udp } th dport 2000-2999 update @seen { meta l4proto . th dport }
  }
}
`;

describe.each(['nft', 'legacy'] as const)("coolify init's scaffold beside iptables-%s", backend => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createScaffoldLab(backend);
    for (const end of ends) await lab[end].exec('nft', ['-f', '-'], { input: counting });
  }, 60_000);
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });
  let etc: string;
  beforeEach(async () => {
    const folder = await scratchFolder();
    etc = folder.path;
    await writeFile(join(etc, 'api-token'), 'token', { mode: 0o600 });
    await writeFile(join(etc, 'bridge-fw.nft'), foreignBridge(subnets, await hasBridgeConntrack()));
    await lab.reset();
    return () => folder[Symbol.asyncDispose]();
  });
  const script = (text: string) => lab.host.exec('sh', ['-ec', text], { env: lab.env });
  const snapshots = () => ({ iptables: join(etc, 'allow.rules'), nft: join(etc, 'allow.nft') });
  const startUnit = () => script(foreignUnitScript(subnets, join(etc, 'bridge-fw.nft'), snapshots()));

  async function startCoold() {
    const program = startProgram('coold', {
      inside: lab.host.pid,
      env: {
        PATH: lab.env['PATH'] ?? '',
        COOLD_HOST_MGMT_IP: at.mgmt,
        COOLD_API_BIND: '127.0.0.1:8444',
        COOLD_API_TOKEN_FILE: join(etc, 'api-token'),
        COOLD_UNIX_SOCKET_PATH: join(etc, 'coold.sock'),
        COOLD_RULES_PATH: snapshots().iptables,
        COOLD_BRIDGE_RULES_PATH: snapshots().nft,
        COOLD_MESH_ENV: join(etc, 'mesh.env'),
      },
    });
    await program.logged((line: LogLine) => line.msg === 'the firewall is read');
    return program;
  }

  async function allow({ from, to, proto, port }: Flow): Promise<void> {
    const body = JSON.stringify({ src: at[from], dst: at[to], proto, port });
    await lab.host.exec('curl', [
      ...['-sS', '--fail', '-X', 'POST', '-H', 'authorization: Bearer token'],
      ...['-H', 'content-type: application/json', '-d', body],
      'http://127.0.0.1:8444/api/v1/firewall/allow',
    ]);
  }

  async function explain(): Promise<('passes' | 'blocked' | 'unknown')[]> {
    const questions = flows.map(({ from, to, proto, port }) => ({ src: at[from], dst: at[to], proto, port }));
    const { stdout } = await lab.host.exec(process.execPath, [child], {
      input: JSON.stringify(questions),
      env: lab.env,
    });
    return stdout.split('\n').flatMap(line => {
      if (line === '') return [];
      const { hops } = JSON.parse(line) as ExplainedFlow;
      const verdicts = hops.map(({ verdict }) => verdict);
      if (verdicts.includes('blocked')) return ['blocked'];
      return verdicts.includes('unknown') || verdicts.length === 0 ? ['unknown'] : ['passes'];
    });
  }

  /** Sends them all at once. @returns whether each arrived */
  async function send(): Promise<boolean[]> {
    await lab.forgetConnections();
    await Promise.all(ends.map(end => lab[end].exec('nft', ['flush', 'set', 'ip', 'arrivals', 'seen'])));
    await Promise.all(
      ends.map(end => {
        const own = flows.filter(({ from }) => from === end);
        const input = JSON.stringify(own.map(({ to, proto, port }) => [proto, at[end], at[to], port]));
        return lab[end].exec('python3', ['-c', sender], { input });
      }),
    );
    const arrived = new Set<string>();
    for (const end of ends) {
      const { stdout } = await lab[end].exec('nft', ['-n', 'list', 'set', 'ip', 'arrivals', 'seen']);
      for (const [, number, port] of stdout.matchAll(/(\d+|tcp|udp) \. (\d+)/g))
        arrived.add(`${end} ${{ 6: 'tcp', 17: 'udp' }[number ?? ''] ?? number} ${port}`);
    }
    return flows.map(({ to, proto, port }) => arrived.has(`${to} ${proto} ${port}`));
  }

  /** @returns of the flows: how many pass, and how many are blocked */
  async function compare(): Promise<{ passes: number; blocked: number; unknown: number }> {
    const said = await explain();
    const arrived = await send();
    const wrong = flows.flatMap((flow, index) => {
      const verdict = said[index];
      if (verdict === 'unknown' || (verdict === 'passes') === arrived[index]) return [];
      return [
        `${flow.from} -> ${flow.to} ${flow.proto}/${flow.port}: ${verdict}, and arrived: ${arrived[index]}`,
      ];
    });
    expect(wrong).toEqual([]);
    const count = (wanted: string) => said.filter(verdict => verdict === wanted).length;
    return { passes: count('passes'), blocked: count('blocked'), unknown: count('unknown') };
  }

  test('as its unit leaves it, and with the guard and rules of coold', async () => {
    await startUnit();
    const told = [await compare()];
    await using coold = await startCoold();
    await coold.logged(({ msg }) => msg === 'the guard is put beside the scaffold of coolify init');
    told.push(await compare());
    for (const flow of allowed) await allow(flow);
    const withRules = await compare();
    told.push(withRules);
    // Its unit starts again, from the snapshots of coold; and a network comes up.
    await startUnit();
    await lab.bringNetworkUp();
    await soon(async () => expect(await compare()).toEqual(withRules), { timeout: 20_000 });
    told.push(withRules);
    process.stdout.write(`iptables-${backend}: ${JSON.stringify(told)} of ${flows.length} flows each\n`);
    for (const { unknown, blocked } of told) {
      // Of a network that is not the mesh's, another host would see the address of this one.
      expect(unknown).toBe(flows.filter(({ from, to }) => from === 'plain' && to === 'peer').length);
      expect(blocked).toBeGreaterThan(0);
    }
    expect(withRules.passes).toBeGreaterThan(told[1]?.passes ?? 0);
  }, 180_000);

  test('after it was switched off everything passes', async () => {
    await startUnit();
    await rm(join(etc, 'bridge-fw.nft'));
    await script(foreignPermissiveScript(subnets));
    expect(await compare()).toMatchObject({ blocked: 0 });
  }, 120_000);
});

// Allow rules on two hosts, with containers of several namespaces and their packets.
import { describe, expect, test } from 'vitest';
import { type Caller, type Command, laravel, operator } from '../harness/callers.ts';
import { eventually } from '../harness/eventually.ts';
import type { Fleet, FleetHost } from '../harness/fleet.ts';
import { addressOf, fetched, serve } from '../harness/pages.ts';
import { expectExec } from '../harness/provider.ts';
import { twoHosts } from './two-hosts.ts';

const again = ['--restart', 'always'];

let fleet: Fleet;
let a: FleetHost;
let b: FleetHost;

/** A container that serves its name on ports 80 and 81, and sends requests. */
interface End {
  on: () => FleetHost;
  name: string;
}
const end = (on: () => FleetHost, name: string): End => ({ on, name });
const client = end(() => a, 'client');
const web = end(() => a, 'web');
const alpha = end(() => a, 'alpha');
const far = end(() => b, 'far');
const farAlpha = end(() => b, 'far-alpha');

twoHosts(['default', 'alpha'], async given => {
  ({ fleet, a, b } = given);
  const ports = [80, 81];
  const start = ({ on, name }: End, namespace: string, args: readonly string[] = again) =>
    serve(on(), name, `coolify-${namespace}-mesh`, { args, ports });
  await Promise.all([
    (async () => {
      await start(client, 'default');
      await start(web, 'default');
      await start(alpha, 'alpha');
    })(),
    (async () => {
      await start(far, 'default');
      await start(farAlpha, 'alpha');
      await start(
        end(() => b, 'published'),
        'default',
        [...again, '--publish', '8088:80'],
      );
    })(),
  ]);
});

const callers = { laravel: () => laravel(fleet), operator: () => operator() };

/** Calls a verb that has to succeed. @returns its data */
async function call(caller: Caller, host: FleetHost, command: Command): Promise<unknown> {
  const answer = await caller.call(host, command);
  if (!answer.ok) throw new Error(`${command.type} on ${host.name}: ${answer.code} ${answer.message}`);
  return answer.data;
}

/** Returns the page that one container gets from another, or ''. */
const ask = async (from: End, to: End, port = 80) =>
  await fetched(from.on(), from.name, `http://${await addressOf(to.on(), to.name)}:${port}/`);

interface Rule {
  id: string;
  namespace: string;
}

/** Allows a flow on the host of the destination, which decides (docs/contract.md §4). */
async function allow(caller: Caller, from: End, to: End, hosts = [to.on()]): Promise<string> {
  const src = await addressOf(from.on(), from.name);
  const dst = await addressOf(to.on(), to.name);
  const rule = { type: 'firewall.allow', namespace: 'default', src, dst, proto: 'tcp', port: 80 };
  const made = await Promise.all(hosts.map(host => call(caller, host, rule)));
  expect(new Set(made.map(one => (one as Rule).id)).size).toBe(1);
  return (made[0] as Rule).id;
}

const revoke = (caller: Caller, id: string, hosts: readonly FleetHost[] = fleet.hosts) =>
  Promise.all(hosts.map(host => call(caller, host, { type: 'firewall.revoke', id })));

/** Checks every flow between two containers in both directions: only the named ones are open. */
async function expectOpen(open: readonly (readonly [End, End])[], when: string, ends: readonly End[]) {
  const seen: Record<string, string> = {};
  const wanted: Record<string, string> = {};
  await Promise.all(
    ends.flatMap(from =>
      ends
        .filter(to => to !== from)
        .map(async to => {
          const way = `${from.name} → ${to.name}`;
          seen[way] = await ask(from, to);
          wanted[way] = open.some(([one, other]) => one === from && other === to) ? to.name : '';
        }),
    ),
  );
  expect(seen, when).toEqual(wanted);
}

const everyone = [client, web, alpha, far, farAlpha];

/** Checks a container's egress to a port that another host has published. */
async function expectOutside(when: string): Promise<void> {
  for (const { on, name } of [client, alpha])
    expect(await fetched(on(), name, `http://${b.host.address}:8088/`), when).toBe('published');
}

test('all flows between containers are blocked, egress and a published port are open', async () => {
  await expectOpen([], 'without a rule', everyone);
  await expectOutside('without a rule');
}, 120_000);

const ways = {
  'within a bridge': [client, web],
  'between two namespaces of a host': [client, alpha],
  'across hosts': [far, web],
  'across hosts and namespaces': [client, farAlpha],
} as const;

describe.each(Object.entries(callers))('a rule that the %s asked for', (_caller, makeCaller) => {
  test.each(Object.entries(ways))(
    'opens exactly its flow %s',
    async (_way, [from, to]) => {
      const caller = makeCaller();
      const id = await allow(caller, from, to);
      await expectOpen([[from, to]], 'allowed', everyone);
      expect(await ask(from, to, 81), 'another port').toBe('');
      await expectOutside('allowed');
      await revoke(caller, id);
      await expectOpen([], 'revoked', everyone);
      await expectOutside('revoked');
    },
    180_000,
  );
});

test(`a flow across hosts needs exactly one rule, on the destination's host`, async () => {
  const caller = operator();
  for (const [host, page] of [
    [b, ''],
    [a, 'web'],
  ] as const) {
    const id = await allow(caller, far, web, [host]);
    expect(await ask(far, web), `allowed on ${host.name} alone`).toBe(page);
    await revoke(caller, id);
  }
});

describe('a network that was just created for a namespace', () => {
  const beta = end(() => a, 'beta');
  const other = end(() => a, 'beta-other');
  /** Outside of every pool in mesh.env. */
  const subnet = '192.168.60.0/24';
  const some = [client, alpha, beta, other];
  const joined = async () => ({
    hooks: (await expectExec(a.host, ['iptables', '-S', 'FORWARD'])).includes(`-d ${subnet} `),
    bridged: (
      await expectExec(a.host, ['nft', 'list', 'chain', 'bridge', 'coolify_bridge', 'forward'])
    ).includes(subnet),
    file: (await a.host.get('/etc/coolify/joined.subnets')).toString().includes(`${subnet}\n`),
  });

  test('is closed to the others and within itself from its first container on', async () => {
    await call(laravel(fleet), a, { type: 'networks.create', name: 'beta', namespace: 'alpha', subnet });
    expect(await joined()).toEqual({ hooks: true, bridged: true, file: true });
    await serve(a, beta.name, 'beta', { args: again });
    expect([await ask(client, beta), await ask(beta, client)]).toEqual(['', '']);
    await serve(a, other.name, 'beta', { args: again });
    await expectOpen([], 'a new network', some);
    expect(await fetched(a, beta.name, `http://${b.host.address}:8088/`), 'egress').toBe('published');
  }, 120_000);

  test('has allow rules like any other, and keeps its deny when the scaffold is applied again', async () => {
    const id = await allow(operator(), client, beta);
    await expectOpen([[client, beta]], 'allowed', some);
    await expectExec(a.host, ['systemctl', 'restart', 'coolify-mesh-fw.service']);
    expect(await joined()).toEqual({ hooks: true, bridged: true, file: true });
    await expectOpen([[client, beta]], 'the scaffold anew', some);
    await revoke(operator(), id, [a]);
    await expectOpen([], 'revoked', some);
  }, 120_000);

  test('is also denied by the bridged plane, where iptables does not see bridge traffic', async () => {
    await expectExec(a.host, ['sysctl', '-w', 'net.bridge.bridge-nf-call-iptables=0']);
    try {
      expect(await ask(beta, other)).toBe('');
    } finally {
      await expectExec(a.host, ['sysctl', '-w', 'net.bridge.bridge-nf-call-iptables=1']);
    }
  });

  test('leaves nothing when it is deleted; one that is created afterwards survives a reboot', async () => {
    await expectExec(a.host, ['podman', 'rm', '--force', beta.name, other.name]);
    await call(operator(), a, { type: 'networks.delete', name: 'beta' });
    expect(await joined()).toEqual({ hooks: false, bridged: false, file: false });
    await call(operator(), a, { type: 'networks.create', name: 'beta', namespace: 'alpha', subnet });
    await serve(a, beta.name, 'beta', { args: again });
    await serve(a, other.name, 'beta', { args: again });
    const id = await allow(laravel(fleet), client, web);
    await a.host.reboot();
    await fleet.allConnected(90_000);
    for (const { name } of [...some, web])
      await eventually(`${name} to run again`, async () => (await addressOf(a, name)) || undefined, {
        timeoutMs: 60_000,
      });
    // Their addresses may have changed; the rule for the old ones still exists, as requested.
    expect(await call(operator(), a, { type: 'firewall.list' })).toMatchObject([{ id }]);
    await revoke(operator(), id);
    const now = await allow(operator(), client, web);
    await expectOpen([[client, web]], 'after a reboot', [...some, web]);
    await revoke(operator(), now);
    expect(await joined()).toEqual({ hooks: true, bridged: true, file: true });
  }, 240_000);
});

describe('on the host itself', () => {
  test('the CLI’s own curl commands work unchanged', async () => {
    const sh = (line: string) => expectExec(a.host, ['sh', '-c', line]);
    const api = `http://${a.mgmtIp}:8443/api/v1/firewall`;
    const curl = 'curl -fsS -H "Authorization: Bearer $(cat /etc/coolify/api-token)"';
    const src = await addressOf(a, client.name);
    const dst = await addressOf(a, web.name);
    const body = JSON.stringify({ namespace: 'default', src, dst, proto: 'tcp', port: 80 });
    const rule = JSON.parse(
      await sh(`${curl} -X POST -H 'Content-Type: application/json' -d '${body}' ${api}/allow`),
    ) as Rule;
    expect(rule).toEqual({ id: rule.id, ...(JSON.parse(body) as object) });
    expect(await ask(client, web)).toBe('web');
    expect(JSON.parse(await sh(`${curl} ${api}/allow`))).toEqual([rule]);
    expect(JSON.parse(await sh(`${curl} '${api}/allow?namespace=alpha'`))).toEqual([]);
    expect(JSON.parse(await sh(`${curl} ${api}/allow/${rule.id}`))).toMatchObject(rule);
    expect(await sh(`${curl} -X POST ${api}/reconcile`)).toBe('');
    expect(await sh(`${curl} -X DELETE ${api}/allow/${rule.id}`)).toBe('');
    expect(await ask(client, web)).toBe('');
  });

  test('the snapshots restore the rules with the plain tools', async () => {
    const caller = operator();
    const id = await allow(caller, client, web);
    const flush = async () => {
      await expectExec(a.host, ['iptables', '-F', 'COOLIFY-ALLOW']);
      await expectExec(a.host, [
        ...(['nft', 'flush', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow'] as const),
      ]);
    };
    await flush();
    expect(await ask(client, web)).toBe('');
    await expectExec(a.host, ['iptables-restore', '--noflush', '/etc/coolify/allow.rules']);
    await expectExec(a.host, ['nft', '-f', '/etc/coolify/allow.nft']);
    expect(await ask(client, web)).toBe('web');
    const none = { count: 0, ids: [] };
    const status = async () => (await call(caller, a, { type: 'firewall.status' })) as { drift: object };
    expect(await status()).toMatchObject({
      mode: 'enforcing',
      drift: { in_model_only: none, in_kernel_only: none, planes_differ: none },
    });
    await flush();
    expect(await status()).toMatchObject({ drift: { in_model_only: { count: 1, ids: [id] } } });
    await call(caller, a, { type: 'firewall.reconcile' });
    expect(await status()).toMatchObject({ drift: { in_model_only: none }, rules: { iptables: 1, nft: 1 } });
    expect(await ask(client, web)).toBe('web');
    await revoke(caller, id, [a]);
  });

  test('a killed coold leaves every flow unchanged, and knows the rules when it is back', async () => {
    const caller = operator();
    const id = await allow(caller, client, web);
    const pid = async () =>
      (
        await expectExec(a.host, ['systemctl', 'show', '--property', 'MainPID', '--value', 'coold.service'])
      ).trim();
    const killed = await pid();
    await expectExec(a.host, ['kill', '-KILL', killed]);
    await expectOpen([[client, web]], 'killed', [client, web, alpha]);
    await eventually(
      'systemd to start coold again',
      async () => (!['0', killed].includes(await pid()) ? true : undefined),
      { timeoutMs: 20_000 },
    );
    await fleet.allConnected(30_000);
    expect(await call(caller, a, { type: 'firewall.list' })).toMatchObject([{ id }]);
    await revoke(caller, id, [a]);
    await expectOpen([], 'revoked', [client, web, alpha]);
  }, 90_000);

  test('rules whose endpoints no longer exist are named', async () => {
    const caller = operator();
    const live = await allow(caller, client, web, [a]);
    const stale = { type: 'firewall.allow', src: '10.210.0.250', dst: await addressOf(a, web.name) };
    const { id } = (await call(caller, a, stale)) as Rule;
    const orphans = async () => {
      const status = await call(caller, a, { type: 'firewall.status' });
      const known = (status as { orphans?: { ids: string[] } }).orphans;
      return known?.ids.join() === id ? true : undefined;
    };
    await eventually('the one rule to be named', orphans, { timeoutMs: 30_000 });
    for (const one of [live, id]) await revoke(caller, one, [a]);
  });

  test('teardown removes coold’s rules, and nothing else', async () => {
    const theirs = ['-s', '203.0.113.0/24', '-j', 'ACCEPT'];
    await expectExec(b.host, ['iptables', '-A', 'FORWARD', ...theirs]);
    await allow(operator(), far, farAlpha);
    const refused = await b.host.exec(['coold', 'firewall', 'teardown']);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('another coold')]);
    await expectExec(b.host, ['systemctl', 'stop', 'coold.service']);
    await expectExec(b.host, ['coold', 'firewall', 'teardown']);
    const left = await expectExec(b.host, ['iptables-save']);
    expect(left).not.toContain('COOLIFY');
    expect(left).not.toContain('cid:');
    expect(await expectExec(b.host, ['nft', 'list', 'ruleset'])).not.toContain('coolify');
    await expectExec(b.host, ['iptables', '-C', 'FORWARD', ...theirs]);
    expect(await ask(far, farAlpha, 81), 'nothing is denied any more').toBe('far-alpha');
  });
});

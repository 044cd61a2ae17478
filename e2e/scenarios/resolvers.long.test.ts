// Name lookups in containers with common resolvers: glibc's, musl's, Go's, and both of Node.
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { laravel } from '../harness/callers.ts';
import { eventually } from '../harness/eventually.ts';
import type { Fleet, FleetHost } from '../harness/fleet.ts';
import { busyboxImage, runContainer } from '../harness/images.ts';
import { expectExec } from '../harness/provider.ts';
import { startUpstreams } from '../harness/upstream.ts';
import { type ResolverPrograms, resolverPrograms } from '../resolvers/programs.ts';
import { twoHosts } from './two-hosts.ts';

const zone = 'coolify.internal';
const outside = 'www.example.test';
const image = 'localhost/coold-e2e/resolvers:latest';
/** The time after which resolvers retry, in ms. Most of it is used to start a program in a container. */
const promptMs = 5000;

/** The lookup program for each resolver; it prints an address, or fails. */
const lookups = {
  glibc: name => ['getent', 'ahostsv4', name],
  musl: name => ['lookup-musl', name],
  go: name => ['lookup-go', name],
  'node dns.lookup': name => node('lookup(process.argv[1], { family: 4 }, said)', name),
  'node dns.resolve4': name =>
    node('resolve4(process.argv[1], (error, found) => said(error, found?.[0]))', name),
} satisfies Record<string, (name: string) => string[]>;

type Resolver = keyof typeof lookups;
const resolvers = Object.keys(lookups) as Resolver[];

function node(call: string, name: string): string[] {
  const said =
    'const said = (error, found) => { console.log(error?.code ?? found); if (error) process.exit(2); }';
  return ['node', '--eval', `${said}; require('node:dns').${call}`, name];
}

let fleet: Fleet;
let a: FleetHost;
let b: FleetHost;
let programs: ResolverPrograms;
/** Addresses by the names used in this test. */
const address: Record<string, string> = {};

twoHosts(['default', 'alpha'], async given => {
  ({ fleet, a, b } = given);
  programs = await resolverPrograms();
  await startUpstreams([a], fleet, { [outside]: '192.0.2.7' });
});

const network = (member: FleetHost, namespace: string) => member.namespaces[namespace]?.network ?? '';

beforeAll(async () => {
  await loadResolvers(b);
  address['web'] = (await runContainer(a.host, { name: 'web', network: network(a, 'default') })).ip;
  address['inner'] = (await runContainer(a.host, { name: 'inner', network: network(a, 'alpha') })).ip;
  const create = { image, name: 'asks', network: network(b, 'default'), network_aliases: ['asker'] };
  const { id } = (await done(b, { type: 'containers.create', ...create })) as { id: string };
  await done(b, { type: 'containers.start', id });
  for (const [name, wanted] of [
    ['web.default', address['web']],
    ['inner.alpha', address['inner']],
  ] as const)
    await eventually(
      `${name} to be known on b`,
      async () =>
        JSON.stringify(await done(b, { type: 'dns.lookup', name: `${name}.${zone}` })).includes(wanted) ||
        undefined,
      { timeoutMs: 30_000 },
    );
}, 10 * 60_000);
afterAll(() => process.stdout.write(programs.lacking.map(each => `resolvers: left out: ${each}\n`).join('')));

async function done(
  member: FleetHost,
  command: { type: string } & Record<string, unknown>,
): Promise<unknown> {
  const answer = await laravel(fleet).call(member, command);
  expect(answer, command.type).toMatchObject({ ok: true });
  return answer.ok ? answer.data : undefined;
}

/** Creates an image from the host's getent with its libraries, the product's Node, and the built programs. */
async function loadResolvers({ host }: FleetHost): Promise<void> {
  const root = '/var/tmp/coold-e2e-resolvers';
  for (const each of ['musl', 'go'] as const) {
    const file = programs[each];
    if (file !== undefined) await host.put({ file }, `${root}/bin/lookup-${each}`, 0o755);
  }
  const copy = [
    'set -eu; root=$1',
    'node=$(ls -d /usr/local/lib/coold/*/node | head -n 1)',
    'mkdir -p "$root/bin" "$root/tmp"',
    // At its own path, because it finds its libraries relative to itself.
    'mkdir -p "$root$(dirname "$node")"; cp "$node" "$root$node"; ln -s "$node" "$root/bin/node"',
    'cp /usr/bin/getent "$root/bin/getent"',
    // Each library at the path where the program searches for it.
    'for program in "$node" /usr/bin/getent; do ldd "$program" | grep -o "/[^ ]*" | while read -r library; do',
    '  mkdir -p "$root$(dirname "$library")"; cp --dereference "$library" "$root$library"; done; done',
    'cp /bin/busybox "$root/bin/busybox"; chroot "$root" /bin/busybox --install -s /bin',
    `tar --create --directory "$root" . | podman import --quiet --change 'CMD ["sh","-c","trap exit TERM; sleep infinity & wait"]' --change 'ENV PATH=/bin' - ${image}`,
    'rm -rf "$root"',
  ].join('\n');
  await expectExec(host, ['sh', '-c', copy, 'sh', root]);
}

interface Seen {
  /** Its first line of output. */
  said: string;
  isFound: boolean;
  ms: number;
  /** Questions of the container that coold answered, and the number forwarded to the upstream. */
  questions: number;
  forwarded: number;
}

async function look(resolver: Resolver, name: string): Promise<Seen> {
  const before = await counts();
  const begunAt = performance.now();
  const { code, stdout } = await b.host.exec(['podman', 'exec', 'asks', ...lookups[resolver](name)]);
  const ms = performance.now() - begunAt;
  const after = await counts();
  return {
    said: stdout.trim().split(/\s/)[0] ?? '',
    isFound: code === 0,
    ms,
    questions: after.questions - before.questions,
    forwarded: after.forwarded - before.forwarded,
  };
}

async function counts(): Promise<{ questions: number; forwarded: number }> {
  const { by_namespace: by, forwarded } = (await done(b, { type: 'dns.stats' })) as {
    by_namespace: Record<string, number>;
    forwarded: number;
  };
  return { questions: by['default'] ?? 0, forwarded };
}

/** Names of the mesh, with their owners. */
const names = {
  web: 'web',
  'web.default': 'web',
  [`web.default.${zone}`]: 'web',
  'WEB.Default': 'web',
  'inner.alpha': 'inner',
  [`inner.alpha.${zone}`]: 'inner',
};
/** Node's c-ares does not complete names with a search domain; `dns.lookup` does. */
const isPortable = (resolver: Resolver, name: string) =>
  resolver !== 'node dns.resolve4' || name.includes('.');

const table = resolvers.flatMap(resolver =>
  Object.entries(names)
    .filter(([name]) => isPortable(resolver, name))
    .map(([name, bearer]) => ({ resolver, name, bearer })),
);
/** Skips a row whose program could not be built, with the reason, so that it does not count as passed. */
function needProgram(resolver: Resolver, { skip }: TestContext): void {
  const why = programs.lacking.find(each => each.startsWith(`${resolver}: `));
  if (why !== undefined) skip(`no program to look up with: ${why}`);
}

describe.each(['answers', 'is dead'])('while the upstream %s', upstream => {
  beforeAll(async () => {
    if (upstream === 'is dead')
      await expectExec(a.host, ['systemctl', 'kill', '--signal=STOP', 'e2e-upstream.service']);
  });
  afterAll(async () => {
    if (upstream === 'is dead')
      await expectExec(a.host, ['systemctl', 'kill', '--signal=CONT', 'e2e-upstream.service']);
  });

  test.for(table)(
    '$resolver finds $name with one question',
    { timeout: 60_000 },
    async ({ resolver, name, bearer }, context) => {
      needProgram(resolver, context);
      const seen = await look(resolver, name);
      expect(seen).toMatchObject({ said: address[bearer], isFound: true, questions: 1, forwarded: 0 });
      expect(seen.ms).toBeLessThan(promptMs);
    },
  );

  test.for(resolvers)(
    '%s finds no name that does not exist, and the upstream is not asked',
    { timeout: 60_000 },
    async (resolver, context) => {
      needProgram(resolver, context);
      for (const name of [`nosuch.default.${zone}`, 'nosuch.default']) {
        const seen = await look(resolver, name);
        expect(seen, name).toMatchObject({ isFound: false, forwarded: 0 });
        expect(seen.questions, name).toBeGreaterThan(0);
        expect(seen.ms, name).toBeLessThan(promptMs);
      }
    },
  );

  test.for(resolvers)(
    '%s asks the upstream for a name of the internet',
    { timeout: 60_000 },
    async (resolver, context) => {
      needProgram(resolver, context);
      const seen = await look(resolver, outside);
      if (upstream === 'answers')
        expect(seen).toMatchObject({ said: '192.0.2.7', isFound: true, forwarded: 1 });
      // The upstream's TTL is 0, so the answer is not cached.
      else expect(seen.isFound).toBe(false);
    },
  );
});

test('an alias, and the names of an address, are found too', async () => {
  const { said } = await look('glibc', 'asker');
  const own = await expectExec(b.host, ['podman', 'exec', 'asks', 'hostname', '-i']);
  expect(said).toBe(own.trim());
  const named = await expectExec(b.host, ['podman', 'exec', 'asks', 'getent', 'hosts', address['web'] ?? '']);
  expect(named).toContain(`web.default.${zone}`);
});

test('the first container on an idle bridge finds its neighbour at once, twenty times', {
  timeout: 5 * 60_000,
}, async () => {
  // Nothing else runs in alpha on b: its bridge exists only as long as this container.
  const run = [
    'podman',
    'run',
    '--rm',
    '--network',
    network(b, 'alpha'),
    '--dns',
    b.namespaces['alpha']?.gateway ?? '',
  ];
  const ask = ['nslookup', '-type=a', '-retry=1', '-timeout=3', `inner.alpha.${zone}`];
  const failures: string[] = [];
  for (let round = 0; round < 20; round += 1) {
    const { code, stdout, stderr } = await b.host.exec([
      ...(run as [string, ...string[]]),
      busyboxImage,
      ...ask,
    ]);
    if (code !== 0 || !stdout.includes(address['inner'] ?? '?'))
      failures.push(`${round}: ${stdout}${stderr}`);
  }
  expect(failures).toEqual([]);
});

test('a new network is answered before it has a container, and not after it was removed', async () => {
  await done(b, { type: 'networks.create', name: 'app', namespace: 'alpha', subnet: '10.77.5.0/24' });
  const sockets = () =>
    expectExec(b.host, ['ss', '--listening', '--tcp', '--udp', '--numeric', '--no-header']);
  await eventually('its sockets', async () => (await sockets()).includes('10.77.5.1:53') || undefined, {
    timeoutMs: 10_000,
  });
  await done(b, { type: 'networks.delete', name: 'app' });
  await eventually('no sockets', async () => !(await sockets()).includes('10.77.5.1:53') || undefined, {
    timeoutMs: 10_000,
  });
});

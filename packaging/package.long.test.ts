// The package as a host meets it: built, carried to a machine that has no Node, no libatomic and no network, installed,
// run, upgraded. Needs root.
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runChild } from '@coold/runtime';
import { createMachine, type Machine } from '@coold/testbed/machine';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { programs } from './programs.ts';

const etc = '/etc/coolify';
let dist: string;
let archive: string;
let machine: Machine;
/** Where the package lies unpacked, on the machine. */
let unpacked: string;

beforeAll(async () => {
  dist = await mkdtemp(join(tmpdir(), 'coold-package-'));
  const { code, stderr } = await runChild(
    process.execPath,
    [join(import.meta.dirname, 'build.ts'), dist, '--archive'],
    { timeoutMs: 120_000 },
  );
  if (code !== 0) throw new Error(stderr);
  archive = join(dist, (await readdir(dist)).find(name => name.endsWith('.tar.gz')) ?? '');
  const { stdout } = await runChild('sh', ['-c', 'ls -d /usr/lib/*/libatomic.so.1*'], { timeoutMs: 5000 });
  machine = await createMachine([
    ...stdout.trim().split('\n'),
    '/usr/bin/node',
    '/usr/bin/gcc',
    '/usr/bin/cc',
    etc,
    '/etc/corrosion',
  ]);
  await machine.exec('mkdir', ['/opt/package']);
  await machine.exec('tar', ['-xzf', archive, '-C', '/opt/package']);
  unpacked = `/opt/package/${(await sh('ls /opt/package')).trim()}`;
  await machine.exec(`${unpacked}/install.sh`, ['--role', 'both']);
}, 180_000);

afterAll(async () => {
  await machine?.close();
  await rm(dist, { recursive: true, force: true });
});

/** A line of shell on the machine. */
async function sh(line: string): Promise<string> {
  return (await machine.exec('sh', ['-c', line])).stdout;
}

test('the archive is named for its version and machine, and small enough to carry', async () => {
  expect(archive).toMatch(/\/coold-\d+\.\d+\.\d+-linux-(x64|arm64)\.tar\.gz$/);
  expect((await stat(archive)).size).toBeLessThan(35e6);
});

test('SHA256SUMS next to it names it, and a second build gives the same bytes', async () => {
  const again = await mkdtemp(join(tmpdir(), 'coold-package-'));
  try {
    const check = await runChild('sh', ['-c', `cd ${dist} && sha256sum --check --strict SHA256SUMS`], {
      timeoutMs: 30_000,
    });
    expect(check.stdout).toContain(`${basename(archive)}: OK\n`);
    const build = `umask 077; exec ${process.execPath} ${join(import.meta.dirname, 'build.ts')} ${again} --archive`;
    expect(await runChild('sh', ['-c', build], { timeoutMs: 120_000 })).toMatchObject({ code: 0 });
    const sums = (folder: string) => readFile(join(folder, 'SHA256SUMS'), 'utf8');
    expect(await sums(again)).toBe(await sums(dist));
  } finally {
    await rm(again, { recursive: true, force: true });
  }
}, 180_000);

test('what is installed takes less than 100 MB', async () => {
  const kilobytes = Number((await sh('du -sk /usr/local | cut -f 1')).trim());
  expect(kilobytes * 1024).toBeLessThan(100e6);
});

test('the archive carries its licence and those of others, its bill of materials and the README', async () => {
  expect(await sh(`cat ${unpacked}/LICENSE`)).toContain('Apache License');
  const others = await sh(`cat ${unpacked}/THIRD-PARTY-LICENCES`);
  for (const text of ['==== undici ', '==== Node.js', 'OpenSSL', '==== libatomic'])
    expect(others).toContain(text);
  const bill = JSON.parse(await sh(`cat ${unpacked}/sbom.cdx.json`)) as {
    bomFormat: string;
    components: unknown[];
  };
  expect(bill.bomFormat).toBe('CycloneDX');
  expect(bill.components.length).toBeGreaterThan(20);
  expect(await sh(`head -n 1 ${unpacked}/README.md`)).toBe('# coold\n');
});

test('every page that the README or a guide of the archive links to is in the archive', async () => {
  const pages = (await sh(`cd ${unpacked} && ls README.md docs/guide/*.md`)).trim().split('\n');
  const linked = new Set<string>();
  for (const page of pages)
    for (const [, target = ''] of (await sh(`cat ${unpacked}/${page}`)).matchAll(/\]\(([^)#\s]+)[^)]*\)/g))
      if (!/^[a-z]+:/.test(target)) linked.add(join(dirname(page), target));
  expect(linked).toContain('docs/guide/install.md');
  const missing: string[] = [];
  for (const path of linked)
    if ((await sh(`test -e ${unpacked}/${path} || echo missing`)) !== '') missing.push(path);
  expect(missing).toEqual([]);
});

test.each(programs)(
  '$name answers --version with one line and 200 ms of work, --help too',
  async ({ name }) => {
    const times: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      // The processor's time, which a busy machine does not make longer than it is.
      const timed = `TIMEFORMAT='%U %S'; { time ${name} --version; } 2>&1`;
      const [line, work] = (await sh(`bash -c ${JSON.stringify(timed)}`)).trim().split('\n');
      expect(line).toMatch(
        new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(commit [0-9a-f]{12}(?:, changed)?, schema 1-2\\)$`),
      );
      times.push((work ?? '').split(' ').reduce((sum, seconds) => sum + Number(seconds) * 1000, 0));
    }
    expect(Math.min(...times)).toBeLessThan(200);
    expect(await sh(`${name} --help`)).toMatch(new RegExp(`^${name}: .*\\n[\\s\\S]*--version`));
  },
);

test('what it makes has the owner, mode and content that the programs expect', async () => {
  expect((await sh(`stat -c '%a %U %n' ${etc} ${etc}/* /usr/local/bin/*`)).trim().split('\n')).toEqual([
    `755 root ${etc}`,
    `600 root ${etc}/api-token`,
    `600 root ${etc}/broker.env`,
    `600 root ${etc}/coold.env`,
    `600 root ${etc}/mesh.env`,
    '755 root /usr/local/bin/broker',
    '755 root /usr/local/bin/builder',
    '755 root /usr/local/bin/coold',
  ]);
  expect(await sh(`cat ${etc}/api-token`)).toMatch(/^[0-9a-f]{64}\n$/);
  expect(await sh('cat /etc/corrosion/schemas/*.sql')).toMatch(
    /TABLE broker_heartbeats[\s\S]*TABLE host_routes[\s\S]*TABLE service_endpoints[\s\S]*TABLE service_registrations/,
  );
});

test('below another prefix everything refers to it', async () => {
  await machine.exec(`${unpacked}/install.sh`, ['--role=central', '--prefix=/opt/other/']);
  expect(await sh('/opt/other/bin/broker --version')).toMatch(/^broker /);
  expect(await sh('grep ^ExecStart /opt/other/lib/systemd/system/broker.service')).toBe(
    'ExecStart=/opt/other/bin/broker\n',
  );
  expect(await sh('ls /opt/other/bin; rm -r /opt/other')).toBe('broker\n');
});

test('a second run changes nothing but what a killed one left, and configuration that was edited stays', async () => {
  await sh(`echo COOLD_HOST_MGMT_IP=100.64.0.9 >${etc}/coold.env`);
  const state = "find /usr/local /etc/coolify /etc/corrosion -type f -printf '%p %m %T@ %i\\n' | sort";
  const before = await sh(state);
  await sh('mkdir /usr/local/lib/coold/.new.1 && echo half >/usr/local/lib/coold/.new.1/node');
  await machine.exec(`${unpacked}/install.sh`, ['--role=both']);
  expect(await sh(state)).toBe(before);
});

test('an installation that runs Corrosion without its unit is told of new tables, once', async () => {
  const told =
    /Corrosion has new tables: if it runs, run corrosion reload -c \/etc\/corrosion\/config.toml\n/;
  await sh('rm /etc/corrosion/schemas/host_seen.sql && touch /etc/corrosion/config.toml');
  expect((await machine.exec(`${unpacked}/install.sh`, [])).stdout).toMatch(told);
  expect((await machine.exec(`${unpacked}/install.sh`, [])).stdout).not.toMatch(told);
  await sh('rm /etc/corrosion/schemas/host_seen.sql /etc/corrosion/config.toml');
  expect((await machine.exec(`${unpacked}/install.sh`, [])).stdout).not.toMatch(told);
});

test('a table that another schema file declares is left to it', async () => {
  await sh(
    'cd /etc/corrosion/schemas && rm service_endpoints.sql && echo "CREATE TABLE IF NOT EXISTS service_endpoints (x);" >init.sql',
  );
  const { stdout } = await machine.exec(`${unpacked}/install.sh`, []);
  expect(stdout).toContain('init.sql declares service_endpoints already');
  expect(await sh('ls /etc/corrosion/schemas')).toBe(
    'broker_heartbeats.sql\nhost_pools.sql\nhost_routes.sql\nhost_seen.sql\ninit.sql\nservice_registrations.sql\n',
  );
});

test.each([
  [['--role', 'everything'], 2, /^install\.sh: --role everything: expected host, central or both\n/],
  [['--prefix', 'usr'], 2, /^install\.sh: --prefix usr: expected an absolute path\n/],
  [['--prefix', '/usr/$(id)'], 2, /^install\.sh: --prefix .*: expected a path of /],
  [['--upgrade'], 2, /^install\.sh: --upgrade: not an option\n/],
] as const)('install.sh %j ends with %i', async (args, code, stderr) => {
  const done = await machine.exec(`${unpacked}/install.sh`, args, { mayFail: true });
  expect(done.code).toBe(code);
  expect(done.stderr).toMatch(stderr);
});

test('without root it fails with one line', async () => {
  const done = await machine.exec('setpriv', ['--reuid=65534', '--clear-groups', `${unpacked}/install.sh`], {
    mayFail: true,
  });
  expect({ code: done.code, stderr: done.stderr }).toEqual({
    code: 1,
    stderr: 'install.sh: needs root: run it with sudo\n',
  });
});

test('on a full disk it ends with what failed, and what was installed still runs', async () => {
  await sh('mkdir /opt/full && mount -t tmpfs -o size=20m full /opt/full');
  const done = await machine.exec(`${unpacked}/install.sh`, [], {
    env: { DESTDIR: '/opt/full' },
    mayFail: true,
  });
  expect(done.code).toBe(1);
  expect(done.stderr).toContain('No space left on device');
  expect(done.stderr).toContain('install.sh: cannot copy the release');
  expect(await sh('ls /opt/full/usr/local/lib/coold /opt/full/usr/local/bin')).toBe(
    '/opt/full/usr/local/bin:\n\n/opt/full/usr/local/lib/coold:\n',
  );
});

test('systemd finds nothing wrong with the units as installed, and with the sample', async () => {
  await sh('cp /bin/true /usr/local/bin/corrosion');
  await machine.exec('cp', [`${unpacked}/systemd/corrosion.service`, '/usr/local/lib/systemd/system']);
  const units =
    'corrosion.service broker.service coold.service coolify-mesh-fw.service coolify-mesh-allow.service coolify-build-net@b.service';
  const done = await machine.exec(
    'sh',
    ['-c', `cd /usr/local/lib/systemd/system && systemd-analyze verify ${units}`],
    { mayFail: true },
  );
  expect(`${done.stdout}${done.stderr}`).toBe('');
  expect(done.code).toBe(0);
});

/** A dispatch on the broker's socket, made by the runtime of the package: the machine has nothing better. */
async function dispatch(requestId: string): Promise<unknown> {
  const request = `
    const body = JSON.stringify({ host_id: 'host-1', request_id: '${requestId}', command: { type: 'list_containers' } });
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const options = { socketPath: '/run/coolify/broker.sock', path: '/v1/coold/dispatch', method: 'POST', headers };
    require('node:http').request(options, res => res.pipe(process.stdout)).end(body);`;
  const node = (await sh('ls -d /usr/local/lib/coold/*/node | head -n 1')).trim();
  return JSON.parse((await machine.exec(node, ['-e', request])).stdout);
}

async function eventually<T>(ask: () => Promise<T>, good: (answer: T) => boolean): Promise<T> {
  for (const deadline = Date.now() + 20_000; ; ) {
    const answer = await ask().catch((error: unknown) => error as T);
    if (good(answer) || Date.now() > deadline) return answer;
    await delay(100);
  }
}

const release = async () => /coold\/([^/]+)\/node/.exec(await sh('cat /usr/local/bin/coold'))?.[1];

test('broker and coold from the package talk to each other, and go on while they are upgraded in place', async () => {
  await sh('mkdir -p /run/coolify /run/podman /opt/keys');
  await machine.exec('broker', ['keygen', '--private', '/opt/keys/key.pem', '--public', '/opt/keys/pub.pem']);
  await sh(
    'umask 077; broker token --key /opt/keys/key.pem --host-id host-1 --caps coold,builder --ttl 1h >/opt/keys/jwt',
  );
  const node = `/usr/local/lib/coold/${await release()}/node`;
  const podman = `require('node:http').createServer((req, res) => res.end('[]')).listen('/run/podman/podman.sock')`;
  machine.start(node, ['-e', podman]);
  machine.start('broker', ['--grpc-bind', '127.0.0.1:6443', '--jwt-public-key-path', '/opt/keys/pub.pem'], {
    BROKER_LOG_LEVEL: 'warn',
  });
  machine.start('coold', ['--broker-url', 'grpc://127.0.0.1:6443', '--host-jwt-path', '/opt/keys/jwt'], {
    COOLD_HOST_MGMT_IP: '100.64.0.9',
    COOLD_LOG_LEVEL: 'error',
  });
  const good = { request_id: expect.any(String), status: 'ok', data: [] };
  const asked = await eventually(
    () => dispatch(`first-${Date.now()}`),
    answer => (answer as { status?: string }).status === 'ok',
  );
  expect(asked).toEqual(good);

  const first = await release();
  for (const next of ['9.9.8-feedfeedfeed', '9.9.9-beefbeefbeef']) {
    await sh(`echo ${next} >${unpacked}/RELEASE`);
    await machine.exec(`${unpacked}/install.sh`, ['--role', 'both']);
    expect(await release()).toBe(next);
  }
  // The release that was running is kept by the upgrade and goes with the one after; the programs do not need it.
  expect(await sh('ls -d /usr/local/lib/coold/*/ | xargs -n1 basename')).toBe(
    '9.9.8-feedfeedfeed\n9.9.9-beefbeefbeef\n',
  );
  expect(first).not.toBe('9.9.9-beefbeefbeef');
  expect(await dispatch('after-upgrade')).toEqual(good);
  expect(await sh('coold --version')).toMatch(/^coold /);
}, 60_000);

test('the allow rules of both snapshots return within the scaffold, and a host without either is no failure', async () => {
  const restore = () => machine.exec('/usr/local/lib/coold/restore-allow.sh', []);
  const scaffold = ['scaffold', '--apply', '--subnets', '10.210.6.0/24', '--pools', '10.210.0.0/16'];
  const rules = () => sh('iptables -S COOLIFY-ALLOW; nft list chain bridge coolify_bridge coolify_allow');
  await restore();
  const comment = 'cid:644d80ecc835:default';
  await machine.exec('tee', [`${etc}/allow.rules`], {
    input: [
      '*filter',
      ':COOLIFY-ALLOW -',
      '# namespace: default',
      `-A COOLIFY-ALLOW -s 10.210.5.2 -d 10.210.6.3 -p tcp --dport 80 -m comment --comment ${comment} -j ACCEPT`,
      'COMMIT\n',
    ].join('\n'),
  });
  await machine.exec('tee', [`${etc}/allow.nft`], {
    input: [
      'flush chain bridge coolify_bridge coolify_allow',
      `add rule bridge coolify_bridge coolify_allow meta protocol ip ip saddr 10.210.5.2 ip daddr 10.210.6.3 ip protocol tcp th dport 80 accept comment "${comment}"\n`,
    ].join('\n'),
  });
  expect((await restore()).stderr).toContain('no scaffold on this host');
  await machine.exec('coold', scaffold);
  await restore();
  const once = await rules();
  expect(once.split(comment)).toHaveLength(3);
  await restore();
  await machine.exec('coold', scaffold);
  expect(await rules()).toBe(once);
});

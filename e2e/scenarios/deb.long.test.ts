// The Debian packages on a host of each Debian: installed, upgraded and downgraded during requests through the broker,
// removed, purged.
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { printJournals } from '../harness/fleet.ts';
import { builtDebianPackages } from '../harness/product.ts';
import { expectExec, type Host, hostSystems, type Provider } from '../harness/provider.ts';
import { chooseGround } from './provider.ts';

/** The root of another Debian than this machine's may have to be created first. */
const setUpMs = 15 * 60_000;
const dpkgMs = 180_000;
const units = ['coold.service', 'coolify-mesh-fw.service', 'coolify-mesh-allow.service', 'broker.service'];
const socket = '/run/coolify/broker.sock';
const next = '9.9.9-feedfeedfeed';

/**
 * Sends requests without pause, like Laravel's client: it repeats a request until it is answered, and prints a line for
 * each.
 */
const asking = `
  number=0
  while [ ! -e /root/enough ]; do
    number=$((number + 1))
    request="{\\"host_id\\":\\"host-1\\",\\"request_id\\":\\"load-$number\\",\\"command\\":{\\"type\\":\\"list_containers\\"}}"
    tries=0
    until curl -sS -m 10 --unix-socket ${socket} -H content-type:application/json -d "$request" http://x/v1/coold/dispatch 2>/dev/null | grep -q '"status":"ok"'; do
      tries=$((tries + 1))
      [ $tries -lt 300 ] || { echo "$number unanswered"; break; }
      sleep 0.1
    done
    echo "$number $tries" >>/root/answers
  done`;

/** Turns a package into one of another version, whose release is in another folder. */
const another = `
  set -e
  for package in coold coold-broker; do
    dpkg-deb -R /root/$package.deb /root/next
    release=$(ls -d /root/next/usr/lib/$package/*/ | xargs -n1 basename)
    mv /root/next/usr/lib/$package/$release /root/next/usr/lib/$package/${next}
    sed -i "s/$release/${next}/g" /root/next/DEBIAN/* /root/next/usr/bin/*
    sed -i 's/^Version: .*/Version: 9.9.9/' /root/next/DEBIAN/control
    dpkg-deb -Zgzip -z1 -b /root/next /root/$package-next.deb
    rm -r /root/next
  done`;

describe.each(hostSystems)('on %s', system => {
  let provider: Provider;
  let host: Host;
  /** Paths with our names that existed before the installation. */
  let namedBefore: string[];

  beforeAll(async () => {
    const ground = await chooseGround();
    provider = ground.provider;
    const [fresh] = await provider.up([{ name: 'deb', system }]);
    if (fresh === undefined) throw new Error('a host was asked for');
    host = fresh;
    // A root made for containers may keep packages from starting and stopping their services.
    await sh('rm -f /usr/sbin/policy-rc.d');
    // It may also exclude documents and man pages, which dpkg then reports as missing.
    await sh("grep -ls '^path-exclude' /etc/dpkg/dpkg.cfg.d/* | xargs -r rm --");
    namedBefore = await named();
    const { coold, broker } = await builtDebianPackages();
    await host.put({ file: coold }, '/root/coold.deb', 0o600);
    await host.put({ file: broker }, '/root/coold-broker.deb', 0o600);
    await sh(another, dpkgMs);
  }, setUpMs);
  afterAll(() => provider?.close(), setUpMs);
  beforeEach(() => onTestFailed(() => printJournals([host]), 60_000));

  const sh = (line: string, timeoutMs = 60_000) => expectExec(host, ['sh', '-c', line], { timeoutMs });
  const dpkg = (...args: string[]) =>
    expectExec(host, ['dpkg', ...args], { env: { DEBIAN_FRONTEND: 'noninteractive' }, timeoutMs: dpkgMs });
  const state = async (what: 'is-enabled' | 'is-active', unit: string) =>
    (await host.exec(['systemctl', what, unit])).stdout.trim();
  const pid = (unit: string) => sh(`systemctl show -P MainPID ${unit}`);
  const kernel = () => sh('iptables-save; nft list ruleset; ip -4 address show dev lo');
  const rules = () => sh('iptables -S COOLIFY-INTRA; nft list table inet coolify_guard | grep -v counter');
  const release = async () => /\/([^/]+)\/node/.exec(await sh('cat /usr/bin/coold'))?.[1];
  /** Returns every path of the system with our name, except logs. */
  const named = async () => {
    const ours = '/(coold|coolify|broker|builder|corrosion|restore-allow)[^/]*$';
    const found = await sh(`find /etc /usr /var /run -xdev -not -path '/var/log/*' | grep -E '${ours}' || :`);
    return found
      .split('\n')
      .filter(path => path !== '')
      .toSorted();
  };
  const answered = () =>
    eventually(
      'the broker to bring an answer of coold',
      async () => {
        const request = '{"host_id":"host-1","request_id":"r","command":{"type":"list_containers"}}';
        const { stdout } = await host.exec([
          ...(['curl', '-sS', '--unix-socket', socket, '-H', 'content-type:application/json'] as const),
          ...['-d', request, 'http://x/v1/coold/dispatch'],
        ]);
        return stdout.includes('"status":"ok"') || undefined;
      },
      { timeoutMs: 60_000 },
    );

  /** Replaces both packages during requests, each of which must be answered. */
  const replaceUnderLoad = async (suffix: string) => {
    await sh('rm -f /root/enough /root/answers');
    const [coold, broker] = [await pid('coold.service'), await pid('broker.service')];
    const asked = sh(asking, 300_000);
    const count = async () => Number(await sh('cat /root/answers 2>/dev/null | wc -l'));
    const more = async (than: number) =>
      eventually('more answers', async () => (await count()) > than || undefined, { timeoutMs: 60_000 });
    await more(5);
    await dpkg('--install', `/root/coold${suffix}.deb`, `/root/coold-broker${suffix}.deb`);
    await more((await count()) + 5);
    await sh('touch /root/enough');
    expect(await asked).toBe('');
    expect(await sh('grep unanswered /root/answers || :')).toBe('');
    expect(await pid('coold.service')).not.toBe(coold);
    expect(await pid('broker.service')).not.toBe(broker);
  };

  test(
    'are installed and enabled, and wait for their settings',
    async () => {
      await dpkg('--install', '/root/coold.deb', '/root/coold-broker.deb');
      for (const unit of [...units, 'podman.socket', 'podman-restart.service'])
        expect(await state('is-enabled', unit), unit).toBe('enabled');
      expect(await state('is-active', 'coold.service')).toBe('inactive');
      expect(await sh('stat -c "%a %U %n" /etc/coolify /etc/coolify/*')).toBe(
        [
          '755 root /etc/coolify',
          ...['api-token', 'broker.env', 'coold.env', 'mesh.env'].map(
            name => `600 root /etc/coolify/${name}`,
          ),
          '',
        ].join('\n'),
      );
      expect(await sh('coold --version && broker --version && builder --version')).toMatch(
        /^coold .*\nbroker .*\nbuilder .*\n$/,
      );
      expect(await sh('dpkg --verify coold coold-broker')).toBe('');
    },
    dpkgMs,
  );

  test('start once they have settings, and the broker returns answers of coold', async () => {
    await sh(`cd /root && broker keygen --private /root/jwt.key --public /root/jwt.pub &&
      umask 077 && broker token --key /root/jwt.key --host-id host-1 --caps coold >/etc/coolify/host-jwt`);
    const settings = {
      broker: 'BROKER_GRPC_BIND=127.0.0.1:6443\nBROKER_JWT_PUBLIC_KEY_PATH=/etc/coolify/jwt.pub\n',
      coold: `COOLD_HOST_MGMT_IP=${host.address}\nCOOLD_BROKER_URL=grpc://127.0.0.1:6443\n`,
      mesh: 'COOLD_SCAFFOLD_SUBNETS=10.210.7.0/24\nCOOLD_SCAFFOLD_POOLS=10.210.0.0/16\n',
    };
    await sh('mv /root/jwt.pub /etc/coolify/jwt.pub');
    for (const [name, text] of Object.entries(settings))
      await host.put(text, `/etc/coolify/${name}.env`, 0o600);
    await sh('systemctl start podman.socket coolify-mesh-fw.service broker.service coold.service');
    await answered();
    expect(await rules()).toContain('COOLIFY-INTRA');
  }, 120_000);

  test('an upgrade answers every request, keeps every rule, and leaves disabled units disabled', async () => {
    await sh('systemctl disable --quiet coolify-mesh-allow.service');
    const [before, first] = [await rules(), await release()];
    await replaceUnderLoad('-next');
    expect(await release()).toBe(next);
    expect(await sh('ls /usr/lib/coold /usr/lib/coold-broker')).not.toContain(first);
    expect(await rules()).toBe(before);
    expect(await state('is-enabled', 'coolify-mesh-allow.service')).toBe('disabled');
    expect(await state('is-enabled', 'coold.service')).toBe('enabled');
  }, 360_000);

  test('a downgrade does the same', async () => {
    const before = await rules();
    await replaceUnderLoad('');
    expect(await release()).not.toBe(next);
    expect(await rules()).toBe(before);
    expect(await state('is-enabled', 'coolify-mesh-allow.service')).toBe('disabled');
  }, 360_000);

  test(
    `removal keeps settings; purge leaves only the operator's keys`,
    async () => {
      await dpkg('--remove', 'coold', 'coold-broker');
      for (const unit of units)
        expect(await sh(`systemctl show -P LoadState ${unit}`), unit).toBe('not-found\n');
      expect(await kernel()).not.toMatch(/coolify/i);
      expect(await sh('cat /etc/coolify/mesh.env')).toContain('10.210.7.0/24');
      expect(
        await sh('ls /usr/bin/coold /usr/lib/coold /usr/lib/coold-broker /run/coolify 2>/dev/null || :'),
      ).toBe('');
      await dpkg('--purge', 'coold', 'coold-broker');
      expect(await named()).toEqual([...namedBefore, '/etc/coolify'].toSorted());
      expect(await sh('ls /etc/coolify')).toBe('jwt.pub\n');
    },
    dpkgMs,
  );
});

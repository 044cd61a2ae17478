import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../harness/eventually.ts';
import type { FleetHost } from '../harness/fleet.ts';
import { heardFrom } from '../harness/mesh.ts';
import { expectExec, HarnessError } from '../harness/provider.ts';
import type { Scene } from './scene.ts';

export const worldNames = [
  'fresh',
  'nothing allowed',
  'revoked while open',
  'coold restarted',
  'coold stopped',
  'coold killed',
  'scaffold restarted',
  'networks come and go',
  'networks come and go without coold',
  'bridges unseen by iptables',
  'nftables restarted',
  'FORWARD emptied',
  'wg0 down',
  'wg0 up again',
  'ufw on',
  'Docker beside it',
  'API allowed',
  'rebooted',
  'booted without coold',
] as const;
export type WorldName = (typeof worldNames)[number];

/** A state of the hosts in which the table is tested. */
export interface World {
  name: WorldName;
  /** Description for readers of the page. */
  what: string;
  /** No allow rule exists, so every row that has one is dropped. */
  nothingAllowed?: true;
  /** Tested on each push too. */
  short?: true;
  /** An operator's change that may block allowed flows: a blocked flow is correct when `coold status` says PROBLEM. */
  mayShut?: true;
  /** Brings the hosts into this state before packets are sent. */
  enter?(scene: Scene): Promise<void>;
  /** Runs while packets flow and connections are open. */
  during?(scene: Scene): Promise<void>;
  /** Restores the earlier state. */
  leave?(scene: Scene): Promise<void>;
}

const onBoth = async (scene: Scene, work: (member: FleetHost) => Promise<unknown>) => {
  await Promise.all(scene.fleet.hosts.map(work));
};
const systemctl = (scene: Scene, ...args: string[]) =>
  onBoth(scene, ({ host }) => expectExec(host, ['systemctl', ...args], { timeoutMs: 90_000 }));
const restart = (scene: Scene, unit: string) => systemctl(scene, 'restart', unit);
const reboot = (scene: Scene) => onBoth(scene, ({ host }) => host.reboot());

/** The time coold has to notice that its default deny is gone and to restore it (docs/contract.md §4). */
const repairMs = 2000;
/** The second of margin keeps a slow machine from failing the limit. */
const repaired = () => delay(repairMs + 1000);

/**
 * Waits as above, and on a busy machine until coold on both hosts reports that it has restored everything; other tests
 * measure how soon. If coold never reports it, the measurement still runs, and the packets show the result.
 */
async function putBackByCoold(scene: Scene): Promise<void> {
  await repaired();
  await onBoth(scene, member =>
    eventually(
      `the default deny of ${member.name} to be back`,
      async () => {
        const { mode, drift } = (await scene.call(member, { type: 'firewall.status' })) as {
          mode: string;
          drift: Record<string, { count: number }>;
        };
        const isSame = Object.values(drift).every(({ count }) => count === 0);
        return mode === 'enforcing' && isSame ? true : undefined;
      },
      { timeoutMs: 20_000, everyMs: 500 },
    ).catch((error: unknown) => {
      if (!(error instanceof HarnessError)) throw error;
    }),
  );
}

const restartOrder = ['coolify-mesh-fw.service', 'coolify-mesh-allow.service', 'coold.service'];

/** Restores the scaffold, the rules and coold as after a boot, for states that removed something. */
async function putBack(scene: Scene): Promise<void> {
  for (const unit of restartOrder) await restart(scene, unit);
  await scene.settled();
}

/** In an order in which no state disturbs the next. */
export const worlds: readonly World[] = [
  {
    name: 'nothing allowed',
    what: 'The hosts are installed and no allow rule was ever written.',
    nothingAllowed: true,
  },
  { name: 'fresh', what: 'The rules of the table are written, and nothing else has happened.', short: true },
  {
    name: 'revoked while open',
    what: 'Every rule is revoked while connections are open.',
    nothingAllowed: true,
    short: true,
    during: revokeAll,
  },
  {
    name: 'coold restarted',
    what: 'coold is restarted.',
    during: scene => restart(scene, 'coold.service'),
    enter: scene => scene.settled(),
  },
  {
    name: 'coold stopped',
    what: 'coold is stopped; its rules stand.',
    short: true,
    during: scene => systemctl(scene, 'stop', 'coold.service'),
    async leave(scene) {
      await systemctl(scene, 'start', 'coold.service');
      await scene.settled();
    },
  },
  {
    name: 'coold killed',
    what: 'coold is killed while it writes rules, and does not come back.',
    during: killInAChange,
    async leave(scene) {
      await onBoth(scene, ({ host }) => host.exec(['rm', '-r', '/run/systemd/system/coold.service.d']));
      await systemctl(scene, 'daemon-reload');
      await systemctl(scene, 'start', 'coold.service');
      await scene.settled();
    },
  },
  {
    name: 'scaffold restarted',
    what: '`systemctl restart coolify-mesh-fw`.',
    during: scene => restart(scene, 'coolify-mesh-fw.service'),
  },
  {
    name: 'networks come and go',
    what: 'Podman makes and removes networks, and starts and removes containers in them.',
    during: churn,
  },
  {
    name: 'networks come and go without coold',
    what: 'The same while coold is stopped; netavark puts its own chain above the hooks of the deny each time.',
    enter: scene => systemctl(scene, 'stop', 'coold.service'),
    async leave(scene) {
      await systemctl(scene, 'start', 'coold.service');
      await scene.settled();
    },
    during: churn,
  },
  {
    name: 'bridges unseen by iptables',
    what: '`net.bridge.bridge-nf-call-iptables=0`, as on a host without br_netfilter: the bridged plane is alone.',
    enter: scene => bridgeCalls(scene, 0),
    leave: scene => bridgeCalls(scene, 1),
  },
  {
    name: 'nftables restarted',
    what: '`systemctl restart nftables`, which flushes the whole packet filter, Podman’s own rules too; coold has put back what is its own.',
    async enter(scene) {
      await restart(scene, 'nftables.service');
      await putBackByCoold(scene);
    },
    async leave(scene) {
      await onBoth(scene, ({ host }) => expectExec(host, ['podman', 'network', 'reload', '--all']));
      await putBack(scene);
    },
  },
  {
    name: 'FORWARD emptied',
    what: '`iptables -F FORWARD`; coold has put back what is its own.',
    async enter(scene) {
      await onBoth(scene, ({ host }) => expectExec(host, ['iptables', '-w', '-F', 'FORWARD']));
      await putBackByCoold(scene);
    },
    leave: putBack,
  },
  {
    name: 'wg0 down',
    what: '`wg-quick down wg0` on both hosts.',
    enter: scene => systemctl(scene, 'stop', 'wg-quick@wg0.service'),
    async leave(scene) {
      await systemctl(scene, 'start', 'wg-quick@wg0.service');
      await scene.settled();
    },
  },
  {
    name: 'wg0 up again',
    what: '`systemctl restart wg-quick@wg0` on both hosts; coold was not restarted.',
    async enter(scene) {
      await restart(scene, 'wg-quick@wg0.service');
      await scene.settled();
    },
  },
  {
    name: 'ufw on',
    what: '`ufw enable`, with WireGuard’s port allowed.',
    mayShut: true,
    enter: scene =>
      onBoth(scene, async ({ host }) => {
        await expectExec(host, ['ufw', 'allow', '51820/udp']);
        await expectExec(host, ['ufw', '--force', 'enable']);
        await heardFrom(host, 1, 30_000);
        await repaired();
      }),
    async leave(scene) {
      await onBoth(scene, ({ host }) => expectExec(host, ['ufw', '--force', 'disable']));
      await putBack(scene);
    },
  },
  {
    name: 'Docker beside it',
    what: 'The rules that dockerd makes: its chains at the top of FORWARD, whose policy is DROP.',
    mayShut: true,
    enter: scene =>
      onBoth(scene, async ({ host }) => {
        await expectExec(host, ['iptables-restore', '--noflush', '--wait=5'], { input: dockerRules });
        await repaired();
      }),
    async leave(scene) {
      await onBoth(scene, ({ host }) =>
        expectExec(host, ['iptables-restore', '--noflush', '--wait=5'], { input: withoutDocker }),
      );
      await putBack(scene);
    },
  },
  {
    name: 'API allowed',
    what: '`COOLD_API_ALLOW_FROM` names a/default.',
    async enter(scene) {
      const where = await scene.look();
      const from = where.addressOf('a/default', 'own', 'a');
      await setEnv(scene, `COOLD_API_ALLOW_FROM=${from}\n`);
      await putBack(scene);
    },
    async leave(scene) {
      await setEnv(scene, '');
      await putBack(scene);
    },
  },
  {
    name: 'rebooted',
    what: 'Both hosts are rebooted.',
    short: true,
    async enter(scene) {
      await reboot(scene);
      await scene.settled();
    },
  },
  {
    name: 'booted without coold',
    what: 'Both hosts boot with coold.service disabled.',
    async enter(scene) {
      await systemctl(scene, 'disable', '--quiet', 'coold.service');
      await reboot(scene);
      await scene.settled({ coold: false });
    },
    async leave(scene) {
      await systemctl(scene, 'enable', '--quiet', 'coold.service');
      await systemctl(scene, 'start', 'coold.service');
      await scene.settled();
    },
  },
];

/** Revokes every allow rule of both hosts, in one change per host. */
async function revokeAll(scene: Scene): Promise<void> {
  await onBoth(scene, async member => {
    const rules = (await scene.call(member, { type: 'firewall.list' })) as { id: string }[];
    await scene.call(member, { type: 'firewall.bulk', add: [], remove: rules.map(({ id }) => id) });
  });
}

async function killInAChange(scene: Scene): Promise<void> {
  await onBoth(scene, ({ host }) =>
    host.put('[Service]\nRestart=no\n', '/run/systemd/system/coold.service.d/packets.conf', 0o644),
  );
  await systemctl(scene, 'daemon-reload');
  const add = Array.from({ length: 500 }, (_, n) => ({
    src: `10.210.250.${n % 250}`,
    dst: `10.210.251.${n % 250}`,
    proto: 'tcp',
    port: 1 + n,
  }));
  await onBoth(scene, async member => {
    const changing = scene.call(member, { type: 'firewall.bulk', add, remove: [] }).catch(() => undefined);
    await delay(30);
    await expectExec(member.host, ['systemctl', 'kill', '--signal=KILL', 'coold.service']);
    await changing;
  });
}

async function churn(scene: Scene): Promise<void> {
  await onBoth(scene, async ({ host }) => {
    for (const round of [1, 2, 3]) {
      const name = `passing${round}`;
      await expectExec(host, ['podman', 'network', 'create', '--disable-dns', name]);
      const run = ['podman', 'run', '--rm', '--stop-timeout', '0', '--network', name] as const;
      await expectExec(host, [...run, 'localhost/coold-e2e/busybox:latest', 'true']);
      await expectExec(host, ['podman', 'network', 'rm', name]);
    }
  });
}

const bridgeCalls = (scene: Scene, value: 0 | 1) =>
  onBoth(scene, ({ host }) =>
    expectExec(host, ['sysctl', '-qw', `net.bridge.bridge-nf-call-iptables=${value}`]),
  );

async function setEnv(scene: Scene, line: string): Promise<void> {
  for (const { host } of scene.fleet.hosts) {
    const env = (await host.get('/etc/coolify/coold.env')).toString();
    const kept = env.replace(/^COOLD_API_ALLOW_FROM=.*\n/m, '');
    await host.put(`${kept}${line}`, '/etc/coolify/coold.env', 0o600);
  }
}

const dockerRules = `*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-I FORWARD 1 -j DOCKER-USER
-I FORWARD 2 -j DOCKER-ISOLATION-STAGE-1
-I FORWARD 3 -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-I FORWARD 4 -o docker0 -j DOCKER
-I FORWARD 5 -i docker0 ! -o docker0 -j ACCEPT
-I FORWARD 6 -i docker0 -o docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
`;

const withoutDocker = `*nat
-D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-D OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-D POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-F DOCKER
-X DOCKER
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-D FORWARD -j DOCKER-USER
-D FORWARD -j DOCKER-ISOLATION-STAGE-1
-D FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-D FORWARD -o docker0 -j DOCKER
-D FORWARD -i docker0 ! -o docker0 -j ACCEPT
-D FORWARD -i docker0 -o docker0 -j ACCEPT
-F DOCKER-ISOLATION-STAGE-1
-F DOCKER-ISOLATION-STAGE-2
-F DOCKER-USER
-X DOCKER
-X DOCKER-ISOLATION-STAGE-1
-X DOCKER-ISOLATION-STAGE-2
-X DOCKER-USER
COMMIT
`;

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BuildUnit,
  buildUnitCommand,
  buildUnitName,
  buildUnitProperties,
  requestIdOfUnit,
} from './unit.ts';

const unit: BuildUnit = {
  requestId: 'b-1',
  stack: 'static',
  workFolder: '/var/lib/coolify-builder/work/b-1',
  network: {
    slot: 7,
    address: '240.0.0.7',
    gateway: '240.0.0.1',
    mtu: 1400,
    resolvConf: '/run/coolify/build-resolv.conf',
  },
  config: {
    bin: '/usr/local/bin/builder',
    timeoutSecs: 1800,
    memoryMax: '2G',
    cpuQuota: '200%',
    diskMax: '10G',
    inodesMax: '2000000',
    cacheMax: '5G',
    denyNets: ['100.64.0.0/16', '10.210.0.0/16'],
  },
};

const common = [
  'RuntimeMaxSec=1800',
  'MemoryMax=2G',
  'CPUQuota=200%',
  'Environment=COOLD_BUILDER_DISK_MAX=10G COOLD_BUILDER_INODES_MAX=2000000 COOLD_BUILDER_CACHE_MAX=5G',
  'PrivateTmp=yes',
  'ProtectSystem=strict',
  'ProtectHome=yes',
  'ReadWritePaths=/var/lib/coolify-builder/work/b-1 /var/lib/containers -/run/containers -/run/netavark -/run/lock',
  'NoNewPrivileges=yes',
  'LockPersonality=yes',
  'RestrictRealtime=yes',
  'SystemCallArchitectures=native',
  'IPAddressDeny=127.0.0.1 169.254.0.0/16 ::1/128 fc00::/7 fe80::/10 100.64.0.0/16 10.210.0.0/16',
  'Requires=coolify-build-net@b-1.service',
  'After=coolify-build-net@b-1.service',
  'NetworkNamespacePath=/run/netns/coolify-build-b-1',
  'ExecStartPre=+nsenter --net=/proc/1/ns/net -- ip link add coolbuild7 mtu 1400 up type veth peer name eth0 mtu 1400 netns coolify-build-b-1',
  'ExecStartPre=+nsenter --net=/proc/1/ns/net -- ip address add 240.0.0.1 peer 240.0.0.7 dev coolbuild7',
  'ExecStartPre=+ip -n coolify-build-b-1 address add 240.0.0.7/32 dev eth0',
  'ExecStartPre=+ip -n coolify-build-b-1 link set eth0 up',
  'ExecStartPre=+ip -n coolify-build-b-1 route add default via 240.0.0.1 dev eth0 onlink',
  'BindReadOnlyPaths=/run/coolify/build-resolv.conf:/etc/resolv.conf',
  'CapabilityBoundingSet=~CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_PTRACE',
  'SystemCallFilter=~setns',
  'SystemCallErrorNumber=EPERM',
  'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
];

describe('the sandbox', () => {
  it('of a static build is what the contract says', () => {
    expect(buildUnitProperties(unit)).toEqual([...common, 'RestrictNamespaces=mnt user']);
  });

  it('of one with RUN steps leaves them namespaces, and opens no device', () => {
    expect(buildUnitProperties({ ...unit, stack: 'dockerfile' })).toEqual([
      ...common,
      'DevicePolicy=closed',
      'DeviceAllow=char-* m',
      'DeviceAllow=block-* m',
      'InaccessiblePaths=-/run/podman -/run/docker.sock -/run/containerd -/run/dbus -/run/systemd/private -/run/netns -/run/systemd/resolve/io.systemd.Resolve -/run/coolify -/etc/coolify -/var/lib/corrosion -/etc/wireguard -/etc/shadow -/etc/gshadow',
      'TemporaryFileSystem=/var/lib/coolify-builder/work:ro',
      'BindPaths=/var/lib/coolify-builder/work/b-1',
    ]);
  });

  it('says which registries have no TLS, where an operator names some', () => {
    const config = { ...unit.config, insecureRegistries: ['10.0.0.5:5000', 'r.example'] };
    const line = 'Environment=COOLD_BUILDER_INSECURE_REGISTRIES=10.0.0.5:5000,r.example';
    expect(buildUnitProperties({ ...unit, config })).toEqual(
      expect.arrayContaining([...common, line, 'RestrictNamespaces=mnt user']),
    );
  });

  it('follows the configuration', () => {
    const config = { ...unit.config, timeoutSecs: 60, memoryMax: '512M', cpuQuota: '50%', denyNets: [] };
    const properties = buildUnitProperties({ ...unit, config });
    expect(properties.slice(0, 3)).toEqual(['RuntimeMaxSec=60', 'MemoryMax=512M', 'CPUQuota=50%']);
    expect(properties).toContain('IPAddressDeny=127.0.0.1 169.254.0.0/16 ::1/128 fc00::/7 fe80::/10');
  });
});

describe('the command', () => {
  it('is an argument vector whose last three are the builder and its arguments', () => {
    const { program, args } = buildUnitCommand(unit);
    expect(program).toBe('systemd-run');
    expect(args).toEqual([
      '--pipe',
      '--quiet',
      '--unit=coolify-build-b-1.service',
      ...buildUnitProperties(unit).map(property => `--property=${property}`),
      '--',
      '/usr/local/bin/builder',
      '/var/lib/coolify-builder/work/b-1/request.json',
      '/var/lib/coolify-builder/work/b-1',
    ]);
    expect(args.join(' ')).not.toContain('--collect');
    expect(args.join(' ')).not.toContain('--scope');
  });

  it.each(['', 'relative', '/a b', '/a%n', '/a$b', '/a"b', '/a\\b', '/a\nb', '/a//b', '/', '/a/'])(
    'is refused for a path that systemd would misread: %j',
    path => {
      expect(() => buildUnitCommand({ ...unit, workFolder: path })).toThrow('expected an absolute path');
      expect(() => buildUnitCommand({ ...unit, config: { ...unit.config, bin: path } })).toThrow();
    },
  );
});

describe('the name', () => {
  it('shows the request_id, for every id that callers may send', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/), requestId => {
        expect(requestIdOfUnit(buildUnitName(requestId))).toBe(requestId);
      }),
    );
  });

  it.each(['', '../x', '-x', 'a b', 'a/b', 'a@b', 'x'.repeat(129), 'a\n'])('is not made of %j', requestId => {
    expect(() => buildUnitName(requestId)).toThrow('is no request_id');
  });

  it.each(['coold.service', 'coolify-build-.service', 'coolify-build-x.scope', 'xcoolify-build-x.service'])(
    'of %s is none of ours',
    name => {
      expect(requestIdOfUnit(name)).toBeUndefined();
    },
  );
});

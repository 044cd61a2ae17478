import type { MessageShape } from '@bufbuild/protobuf';
import { ContainersCreateRequestSchema, FieldError, jsonCodec } from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { applyDenyFilter } from './deny.ts';

const codec = jsonCodec(ContainersCreateRequestSchema);

/** A request as it comes: JSON text, so that keys that only JSON can have are among the attacks. */
function filter(json: string | object) {
  const fields: unknown = typeof json === 'string' ? JSON.parse(json) : json;
  const request = codec.decode(fields) as MessageShape<typeof ContainersCreateRequestSchema>;
  return applyDenyFilter(request);
}

/** Every capability of Linux 6 but those that Podman gives. */
const deniedCapabilities = [
  ...[
    'SYS_ADMIN',
    'NET_ADMIN',
    'NET_RAW',
    'NET_BROADCAST',
    'SYS_MODULE',
    'SYS_RAWIO',
    'SYS_PTRACE',
    'SYS_PACCT',
  ],
  ...['SYS_BOOT', 'SYS_NICE', 'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE'],
  ...['AUDIT_CONTROL', 'AUDIT_READ', 'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND'],
  ...['DAC_READ_SEARCH', 'LINUX_IMMUTABLE', 'IPC_LOCK', 'IPC_OWNER', 'PERFMON', 'BPF', 'CHECKPOINT_RESTORE'],
];

describe('capabilities', () => {
  it.each(deniedCapabilities)('%s is denied, however it is written', name => {
    for (const written of [
      name,
      `CAP_${name}`,
      name.toLowerCase(),
      `cap_${name.toLowerCase()}`,
      `Cap_${name}`,
    ])
      expect(() => filter({ cap_add: ['CHOWN', written] })).toThrow(
        expect.objectContaining({ code: 403, field: 'cap_add[1]' }),
      );
  });

  it.each([
    ...[
      'ALL',
      'all',
      'CAP_ALL',
      '',
      ' ',
      ' SYS_ADMIN',
      'SYS_ADMIN ',
      'SYS_ADMIN\n',
      'SYS_ADMIN\0',
      'CAP_CAP_CHOWN',
    ],
    ...[
      'ſYS_ADMIN',
      'ＳＹＳ_ＡＤＭＩＮ',
      'ſETUID',
      'KıLL',
      'CHOWN,SYS_ADMIN',
      'SYS-ADMIN',
      '__proto__',
      'constructor',
      '21',
    ],
  ])('%j is denied', written => {
    expect(() => filter({ cap_add: [written] })).toThrow(
      expect.objectContaining({ code: 403, field: 'cap_add[0]' }),
    );
  });

  it('that Podman gives anyhow may be added, any may be dropped, and Podman gets our spelling', () => {
    const given = ['CHOWN', 'cap_setuid', 'Net_Bind_Service'];
    expect(filter({ cap_add: given, cap_drop: ['ALL', 'cap_kill', 'NET_RAW'] })).toMatchObject({
      capAdd: ['CAP_CHOWN', 'CAP_SETUID', 'CAP_NET_BIND_SERVICE'],
      capDrop: ['all', 'CAP_KILL', 'CAP_NET_RAW'],
    });
    expect(() => filter({ cap_drop: ['a b'] })).toThrow(
      expect.objectContaining({ code: 400, field: 'cap_drop[0]' }),
    );
  });
});

describe('what loosens isolation is denied', () => {
  it.each<[object, string]>([
    [{ privileged: true }, 'privileged'],
    [{ network_mode: 'host' }, 'network_mode'],
    [{ network_mode: 'HOST' }, 'network_mode'],
    [{ network_mode: ' host ' }, 'network_mode'],
    [{ network_mode: 'container:other' }, 'network_mode'],
    [{ network_mode: 'Container:other' }, 'network_mode'],
    [{ network_mode: 'ns:/proc/1/ns/net' }, 'network_mode'],
    [{ network_mode: 'pod:x' }, 'network_mode'],
    [{ network_mode: 'slirp4netns:allow_host_loopback=true' }, 'network_mode'],
    [{ network: 'host' }, 'network'],
    [{ network: 'ns:/proc/1/ns/net' }, 'network'],
    [{ networks: ['a', 'container:other'] }, 'networks[1]'],
    [{ networks: ['Host'] }, 'networks[0]'],
    ...['pid', 'ipc', 'uts', 'userns', 'cgroupns'].flatMap((name): [object, string][] =>
      ['host', 'Host', 'container:x', 'ns:/proc/1/ns/x'].map(mode => [
        { [`${name}_mode`]: mode },
        `${name}_mode`,
      ]),
    ),
    [{ userns_mode: 'keep-id' }, 'userns_mode'],
    [{ devices: ['/dev/kmsg'] }, 'devices[0]'],
    [{ devices: ['/dev/null:/dev/null:r'] }, 'devices[0]'],
    ...[
      ...['seccomp=unconfined', 'seccomp:unconfined', 'SECCOMP=unconfined', 'seccomp=/tmp/mine.json'],
      ...['apparmor=unconfined', 'apparmor=mine', 'label=disable', 'label:disable', 'label=type:spc_t'],
      ...['unmask=ALL', 'unmask=/proc/kcore', 'systempaths=unconfined', 'proc-opts=hidepid=0', 'mask=/a:/b'],
      ...['no-new-privileges=false', 'no-new-privileges:false', '', 'mask=relative'],
    ].map((option): [object, string] => [{ security_opt: ['mask=/x', option] }, 'security_opt[1]']),
    ...[
      ...[
        'kernel.core_pattern',
        'kernel.shm_rmid_forced',
        'vm.swappiness',
        'fs.suid_dumpable',
        'net.ipv4.ip_forward',
      ],
      ...[
        'net.ipv4.conf.all.forwarding',
        'net.core.rmem_max',
        'net/core/somaxconn',
        'NET.core.somaxconn',
        'net.core..somaxconn',
      ],
      ...['net.ipv4.conf.all.route_localnet', 'kernel.msgmax', 'user.max_user_namespaces', 'constructor', ''],
    ].map((name): [object, string] => [{ sysctls: { [name]: '1' } }, `sysctls.${name}`]),
    [{ mounts: [{ volume: '/etc', target: '/x' }] }, 'mounts[0].volume'],
    [{ mounts: [{ volume: '../../etc', target: '/x' }] }, 'mounts[0].volume'],
    [{ mounts: [{ volume: 'a/b', target: '/x' }] }, 'mounts[0].volume'],
    [{ mounts: [{ volume: 'v', target: '/proc/self/attr' }] }, 'mounts[0].target'],
    [{ mounts: [{ tmpfs: true, target: '//proc' }] }, 'mounts[0].target'],
    [{ mounts: [{ tmpfs: true, target: '/./sys/fs/cgroup' }] }, 'mounts[0].target'],
  ])('%j', (fields, field) => {
    expect(() => filter(fields)).toThrow(expect.objectContaining({ code: 403, field }));
  });
});

describe('what is not understood is refused', () => {
  it.each<[object, string]>([
    [{ network_mode: 'bridge:x' }, 'network_mode'],
    [{ network_mode: 'hostile' }, 'network_mode'],
    [{ network_mode: 'ｈost' }, 'network_mode'],
    [{ pid_mode: 'private ' }, 'pid_mode'],
    [{ userns_mode: 'private' }, 'userns_mode'],
    [{ sysctls: { 'net.core.somaxconn': '1; x' } }, 'sysctls.net.core.somaxconn'],
  ])('%j', (fields, field) => {
    expect(() => filter(fields)).toThrow(expect.objectContaining({ code: 400, field }));
  });

  it.each([
    ...[
      '{"Privileged":true}',
      '{"host_config":{}}',
      '{"cap_add":"SYS_ADMIN"}',
      '{"privileged":"true"}',
      '{"privileged":1}',
    ],
    ...[
      '{"__proto__":{"privileged":true}}',
      '{"constructor":{}}',
      '{"mounts":[{"type":"bind","target":"/x"}]}',
    ],
    ...[
      '{"mounts":["/etc:/x"]}',
      '{"volumes":["/etc:/x"]}',
      '{"mounts":[{"bind":"/a","volume":"b","target":"/x"}]}',
    ],
    ...[
      '{"binds":["/:/x"]}',
      '{"security_opt":"seccomp=unconfined"}',
      '{"devices":[{"path":"/dev/sda"}]}',
      '{"rootfs":"/"}',
    ],
    ...[
      '{"ulimits":{}}',
      '{"hooks_dir":"/x"}',
      '{"runtime":"/x"}',
      '{"volumes_from":["x"]}',
      '{"cgroup_parent":"/"}',
    ],
    ...[
      '{"group_add":["0"]}',
      '{"pod":"x"}',
      '{"annotations":{}}',
      '{"oci_runtime":"x"}',
      '{"capAdd":["SYS_ADMIN"]}',
    ],
  ])('%s', json => {
    expect(() => filter(json)).toThrow(FieldError);
  });

  it('of a key given twice the last counts, here as in what is passed on', () => {
    expect(() => filter('{"privileged":false,"privileged":true}')).toThrow(
      expect.objectContaining({ code: 403, field: 'privileged' }),
    );
  });
});

it('what is harmless passes', () => {
  expect(
    filter({
      privileged: false,
      network_mode: 'bridge',
      pid_mode: 'private',
      ipc_mode: 'none',
      devices: [],
      networks: ['hostess', 'nsx', 'container'.concat('s')],
      security_opt: ['no-new-privileges', 'mask=/proc/interrupts'],
      sysctls: { 'net.core.somaxconn': '1024', 'net.ipv4.ip_local_port_range': '1024 65000' },
      mounts: [{ volume: 'data', target: '/process' }],
    }),
  ).toEqual({
    capAdd: [],
    capDrop: [],
    noNewPrivileges: true,
    mask: ['/proc/interrupts'],
    sysctls: { 'net.core.somaxconn': '1024', 'net.ipv4.ip_local_port_range': '1024 65000' },
  });
});

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const units = readdirSync(import.meta.dirname).filter(name => name.endsWith('.service'));

/** The values of a setting, in order; a line that ends in a backslash is not used in these units. */
function settings(unit: string, name: string): string[] {
  const text = readFileSync(join(import.meta.dirname, unit), 'utf8');
  return text
    .split('\n')
    .filter(line => line.startsWith(`${name}=`))
    .map(line => line.slice(name.length + 1));
}

/** 0 is safe, 10 is exposed; the value is what the unit has now, so that what is added later has to justify itself. */
const exposure: Record<string, number> = {
  'broker.service': 2.3,
  'coold.service': 3.0,
  'coolify-build-net@.service': 4.3,
  'coolify-mesh-allow.service': 2.4,
  'coolify-mesh-fw.service': 3.1,
  'corrosion.service': 2.2,
};

test.each(units)('%s is no more exposed than it has to be', unit => {
  const path = join(import.meta.dirname, unit);
  const { stdout } = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', path], {
    encoding: 'utf8',
  });
  const rating = /Overall exposure level for \S+: (\d+\.\d+)/.exec(stdout)?.[1];
  expect(Number(rating)).toBeLessThanOrEqual(exposure[unit] ?? 0);
});

describe.each(['coold.service', 'broker.service'])('%s', unit => {
  test('says itself when it is ready, and comes back after a failure but not after a bad configuration', () => {
    expect(settings(unit, 'Type')).toEqual(['notify']);
    expect(settings(unit, 'NotifyAccess')).toEqual(['all']);
    expect(settings(unit, 'Restart')).toEqual(['on-failure']);
    expect(settings(unit, 'RestartSec')).toEqual(['2']);
    expect(settings(unit, 'StartLimitIntervalSec')).toEqual(['0']);
    expect(settings(unit, 'RestartPreventExitStatus')).toEqual(['2']);
    expect(settings(unit, 'EnvironmentFile')).toEqual([`-/etc/coolify/${unit.replace('.service', '.env')}`]);
  });

  test('shares /run/coolify, and leaves it to the other', () => {
    expect(settings(unit, 'RuntimeDirectory')).toEqual(['coolify']);
    expect(settings(unit, 'RuntimeDirectoryMode')).toEqual(['0755']);
    expect(settings(unit, 'RuntimeDirectoryPreserve')).toEqual(['yes']);
  });
});

test('coold.service starts after what it talks to, and wants what it needs', () => {
  const after = settings('coold.service', 'After').join(' ').split(' ');
  expect(after).toEqual(
    expect.arrayContaining([
      'corrosion.service',
      'network-online.target',
      'podman.socket',
      'coolify-mesh-fw.service',
    ]),
  );
  expect(settings('coold.service', 'Wants').join(' ').split(' ')).toEqual(
    expect.arrayContaining(['corrosion.service', 'podman.socket']),
  );
  expect(settings('coolify-mesh-allow.service', 'After')).toEqual(['coolify-mesh-fw.service']);
});

test.each(['coolify-mesh-fw.service', 'coolify-mesh-allow.service'])(
  '%s follows what empties the packet filter',
  unit => {
    const emptying = ['nftables.service netfilter-persistent.service'];
    expect(settings(unit, 'PartOf')).toEqual(emptying);
    expect(settings(unit, 'ReloadPropagatedFrom')).toEqual(emptying);
    expect(settings(unit, 'WantedBy')).toContain(emptying[0]);
    expect(settings(unit, 'ExecReload')).toHaveLength(1);
  },
);

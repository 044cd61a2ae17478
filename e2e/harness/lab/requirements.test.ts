import { expect, test } from 'vitest';
import { checkRequirements, type Machine } from './requirements.ts';

const able: Machine = {
  uid: 0,
  path: process.env['PATH'] ?? '',
  tun: '/dev/null',
  systemd: '/bin/sh',
  cgroups: { kind: 'v2', hierarchies: [] },
};

test('names the missing requirement in one line, with its remedy', () => {
  expect(checkRequirements(able)).toBe(able.cgroups);
  const lacking: [Partial<Machine>, string][] = [
    [{ uid: 1000 }, 'the lab needs root'],
    [{ tun: '/dev/net/none' }, 'the lab needs /dev/net/none, which is missing'],
    [{ tun: '/etc/passwd' }, 'the lab needs /etc/passwd, which is missing'],
    [{ systemd: '/lib/systemd/none' }, 'apt-get install systemd'],
    [{ cgroups: undefined }, 'the lab needs control groups'],
  ];
  for (const [lack, line] of lacking) {
    expect(() => checkRequirements({ ...able, ...lack })).toThrow(line);
  }
});

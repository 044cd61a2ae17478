import { expect, test } from 'vitest';
import { parseCgroupLayout } from './cgroups.ts';

test('a machine with one hierarchy is v2', () => {
  const mountinfo = `22 1 254:1 / / rw - ext4 /dev/vda1 rw
35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate`;
  expect(parseCgroupLayout(mountinfo)).toEqual({
    kind: 'v2',
    hierarchies: [{ mountPoint: '/sys/fs/cgroup', type: 'cgroup2', options: '' }],
  });
});

test('a machine with v1 hierarchies is hybrid, each with the mount options that identify it', () => {
  const mountinfo = `31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
99 31 0:29 / /elsewhere/cpu rw - cgroup cgroup rw,cpu`;
  expect(parseCgroupLayout(mountinfo)).toEqual({
    kind: 'hybrid',
    hierarchies: [
      { mountPoint: '/sys/fs/cgroup/cpu,cpuacct', type: 'cgroup', options: 'cpu,cpuacct' },
      { mountPoint: '/sys/fs/cgroup/systemd', type: 'cgroup', options: 'none,name=systemd' },
      { mountPoint: '/sys/fs/cgroup/unified', type: 'cgroup2', options: '' },
    ],
  });
});

test('a machine without cgroups has no layout', () => {
  expect(parseCgroupLayout('22 1 254:1 / / rw - ext4 /dev/vda1 rw')).toBeUndefined();
});

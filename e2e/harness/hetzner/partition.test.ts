import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { deviceOf, partitionRules } from './partition.ts';

test.skipIf(process.getuid?.() !== 0).each([['192.0.2.1'], ['2001:db8::1']])(
  'nft takes the rules that leave %s a way in',
  ours => {
    const input = partitionRules('eth0', ours, 22);
    expect(input).toContain(`${ours.includes(':') ? 'ip6' : 'ip'} saddr ${ours} tcp dport 22 accept`);
    const { status, stderr } = spawnSync('nft', ['--check', '--file', '-'], { input, encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  },
);

test('reads the device from the output of ip, or returns undefined', () => {
  expect(deviceOf('[{"dst":"192.0.2.1","gateway":"172.31.1.1","dev":"eth0","flags":[]}]')).toBe('eth0');
  for (const bad of ['', '[]', '[{}]', '{"dev":"eth0"}', '[{"dev":"a\\"b"}]', '[{"dev":7}]'])
    expect(deviceOf(bad)).toBeUndefined();
});

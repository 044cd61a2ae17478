import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { describe, expect, it } from 'vitest';
import {
  askProgram,
  iptablesVariant,
  judgeLegacyRules,
  judgeProgram,
  neededPrograms,
  versionIn,
} from './programs.ts';

const program = (name: string) =>
  neededPrograms.find(one => one.name === name) ?? expect.fail(`no program ${name}`);

it.each([
  ['podman version 4.3.1', '4.3.1'],
  ['netavark 1.14.0', '1.14.0'],
  ['nftables v1.0.6 (Lester Gooch #5)', '1.0.6'],
  ['iptables v1.8.9 (nf_tables)', '1.8.9'],
  ['buildah version 1.28.2 (image-spec 1.0.2-dev, runtime-spec 1.0.2-dev)', '1.28.2'],
  ['systemd 252 (252.39-1~deb12u1)', '252'],
  ['systemd 257 (257.8-1~deb13u2)', '257'],
  ['ip utility, iproute2-6.1.0, libbpf 1.1.0', '6.1.0'],
  ['wireguard-tools v1.0.20210914 - https://git.zx2c4.com/wireguard-tools/', '1.0.20210914'],
  ['git version 2.39.5', '2.39.5'],
  ['something else', undefined],
])('%s is version %s', (said, version) => {
  expect(versionIn(said)?.startsWith(version ?? 'none') ?? false).toBe(version !== undefined);
});

describe('a program', () => {
  it('of the tested version or a newer one is well, an older one fails', () => {
    expect(judgeProgram(program('podman'), 'podman version 4.3.1').level).toBe('ok');
    expect(judgeProgram(program('podman'), 'podman version 4.10.0').level).toBe('ok');
    expect(judgeProgram(program('podman'), 'podman version 5.0').level).toBe('ok');
    expect(judgeProgram(program('podman'), 'podman version 3.4.4')).toMatchObject({
      level: 'fail',
      found: 'podman 3.4.4 is older than 4.3, with which coold is tested',
    });
    expect(judgeProgram(program('systemd'), 'systemd 247 (247.3)').level).toBe('fail');
    expect(judgeProgram(program('systemd'), 'systemd 252 (252.39)').level).toBe('ok');
  });

  it('that is missing fails, unless only a part of coold needs it', () => {
    expect(judgeProgram(program('nft'), undefined)).toEqual({
      level: 'fail',
      found: 'nft is not installed',
      cure: 'apt-get install nftables',
    });
    expect(judgeProgram(program('buildah'), undefined).level).toBe('warn');
  });

  it('is asked for its version, at whichever of its paths exists', async () => {
    const never = new AbortController().signal;
    const paths = ['/nowhere/nft', 'nft'];
    expect(await askProgram({ ...program('nft'), paths }, never)).toMatch(/^nftables v/);
    expect(await askProgram({ ...program('nft'), paths: ['/nowhere/nft'] }, never)).toBeUndefined();
  });

  it('that cannot run here says why, in place of a version', async () => {
    const never = new AbortController().signal;
    await using folder = await scratchFolder();
    const path = join(folder.path, 'podman');
    await writeFile(path, '#!/bin/sh\necho "no home of yours" >&2\nexit 125\n', { mode: 0o755 });
    await expect(askProgram({ ...program('podman'), paths: [path] }, never)).rejects.toThrow(
      `${path} --version: no home of yours`,
    );
  });

  it('in a folder of root is found by those who do not have that on their PATH', () => {
    for (const name of ['nft', 'iptables']) expect(program(name).paths).toEqual([name, `/usr/sbin/${name}`]);
  });

  it('reads the variant of iptables', () => {
    expect(iptablesVariant('iptables v1.8.9 (legacy)')).toBe('legacy');
    expect(judgeProgram(program('iptables'), 'iptables v1.8.9 (nf_tables)').found).toBe(
      'iptables 1.8.9, variant nf_tables',
    );
  });
});

it('rules of the other variant of iptables are warned of; its empty tables are nothing', () => {
  const empty = '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n';
  expect(judgeLegacyRules('nf_tables', empty)).toEqual([]);
  expect(judgeLegacyRules('nf_tables', '')).toEqual([]);
  const rule = '*filter\n:FORWARD DROP [0:0]\n-A INPUT -j DROP\nCOMMIT\n';
  expect(judgeLegacyRules('nf_tables', rule)).toMatchObject([{ level: 'warn' }]);
  expect(judgeLegacyRules('legacy', rule)).toEqual([]);
});

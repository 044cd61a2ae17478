import { parseConfig } from '@coold/runtime';
import { expect, test } from 'vitest';
import { scaffoldCommand } from './scaffold-command.ts';

const parse = (argv: string[], env: NodeJS.ProcessEnv = {}) =>
  parseConfig(scaffoldCommand, { argv, env, version: '0' });
const mesh = { COOLD_SCAFFOLD_SUBNETS: '10.210.0.0/24', COOLD_SCAFFOLD_POOLS: '10.210.0.0/16' };

test('a unit configures it by its environment, and only printing is the default', () => {
  expect(parse([], mesh)).toEqual({
    kind: 'run',
    unknownEnv: [],
    overruled: [],
    config: {
      subnets: ['10.210.0.0/24'],
      pools: ['10.210.0.0/16'],
      mgmtNetworks: ['100.64.0.0/16'],
      apiPorts: [8443],
      wgInterface: 'wg0',
      chainName: 'COOLIFY-ALLOW',
      joinedPath: '/etc/coolify/joined.subnets',
      apply: false,
    },
  });
});

test('flags win over the environment', () => {
  const parsed = parse(['--subnets', '10.210.7.0/24,10.210.8.0/24', '--wg-interface=wg1', '--apply'], mesh);
  expect(parsed).toMatchObject({
    config: { subnets: ['10.210.7.0/24', '10.210.8.0/24'], wgInterface: 'wg1', apply: true },
  });
});

test.each([
  [['--pools', '10.210.0.0/16'], /^coold scaffold: COOLD_SCAFFOLD_SUBNETS is not set: /],
  [
    ['--subnets', ',', '--pools', '10.210.0.0/16'],
    /^coold scaffold: COOLD_SCAFFOLD_SUBNETS names no network/,
  ],
  [
    ['--subnets', '10.210.0.0/24', '--pools', ' , '],
    /^coold scaffold: COOLD_SCAFFOLD_POOLS names no network/,
  ],
  [
    ['--subnets', '10.210.0.1/24', '--pools', '10.210.0.0/16'],
    /^coold scaffold: --subnets="10.210.0.1\/24": /,
  ],
  [['--subnets', '10.210.0.0/24', '--pools', '0.0.0.0/0'], /^coold scaffold: --pools="0.0.0.0\/0": /],
  [['--wg-interface', 'wg0 -j ACCEPT'], /^coold scaffold: .*expected/],
  [
    ['--chain-name', 'FORWARD', '--subnets', '10.210.0.0/24', '--pools', '10.210.0.0/16'],
    /^coold scaffold: --chain-name="FORWARD": /,
  ],
])('%j ends with one line that says what is wrong', (argv, line) => {
  const parsed = parse(argv);
  expect(parsed).toMatchObject({ kind: 'exit', code: 2, text: expect.stringMatching(line) });
});

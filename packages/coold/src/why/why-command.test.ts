import { expect, test } from 'vitest';
import { readOperands } from './why-command.ts';

test.each([
  [['web', 'db', 'tcp/5432'], { src: 'web', dst: 'db', proto: 'tcp', port: '5432' }, []],
  [['web', 'db'], { src: 'web', dst: 'db', proto: undefined, port: undefined }, []],
  [['--json', 'web', 'db', 'UDP'], { src: 'web', dst: 'db', proto: 'udp', port: undefined }, ['--json']],
  [
    ['web', '--unix-socket-path', '/s', 'db'],
    { src: 'web', dst: 'db', proto: undefined, port: undefined },
    ['--unix-socket-path', '/s'],
  ],
])('%j asks about a flow', (argv, operands, flags) => {
  expect(readOperands(argv)).toEqual({ kind: 'asked', operands, flags });
});

test.each([
  [[]],
  [['web']],
  [['web', 'db', 'tcp/80', 'more']],
  [['web', 'db', '80']],
  [['web', 'db', 'icmp']],
  [['web', 'db', 'tcp/']],
])('%j is wrong usage', argv => {
  expect(readOperands(argv)).toMatchObject({ kind: 'wrong', why: expect.stringContaining('expected') });
});

test('help is asked for without operands', () => {
  expect(readOperands(['--help'])).toMatchObject({ kind: 'wrong', flags: ['--help'] });
});

import { expect, it } from 'vitest';
import { judgeSettings } from './judge-settings.ts';

const path = '/etc/tool.env';

it('names variables that the program does not know', () => {
  const read = { kind: 'read', path, config: {} } as const;
  expect(judgeSettings('tool', { ...read, unknownEnv: [] })).toMatchObject({ level: 'ok' });
  expect(judgeSettings('tool', { ...read, unknownEnv: ['TOOL_URI'] })).toMatchObject({
    level: 'warn',
    found: '/etc/tool.env has variables that tool does not know: TOOL_URI',
  });
});

it('fails for settings with which the program would not start', () => {
  const why = 'tool: TOOL_URL is not set';
  expect(judgeSettings('tool', { kind: 'unusable', path, why })).toMatchObject({
    level: 'fail',
    found: `/etc/tool.env cannot be used: ${why}`,
  });
});

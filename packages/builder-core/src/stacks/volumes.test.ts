import { expect, it } from 'vitest';
import { moveVolumes, volumeIn } from './volumes.ts';

it.each([
  ['FROM a\nRUN x\n', 'FROM a\nRUN x\n'],
  ['FROM a\nVOLUME /v\nRUN x', 'FROM a\n\nRUN x\nVOLUME /v\n'],
  ['FROM a\nVOLUME /v\n \\\nRUN x\n', 'FROM a\n\n \\\nRUN x\n\nVOLUME /v\n'],
  [
    'FROM a AS b\n volume ["/v"]\nRUN x\nVOLUME /w \\\n# and\n  /x\nFROM b\nRUN y\n',
    'FROM a AS b\n\nRUN x\n\n\n\nvolume ["/v"]\nVOLUME /w   /x\nFROM b\nRUN y\n\n',
  ],
])('puts volumes at the end of their stage: %j', (containerfile, moved) => {
  expect(moveVolumes(containerfile)).toBe(moved);
});

it.each([
  '# escape=`\nFROM a\nRUN x \\\nVOLUME /v\nRUN y\n',
  'FROM a\nRUN x \\\\\nVOLUME /v\nRUN y\n',
  'FROM a\nVOLUME /v\nRUN x \\',
  'FROM a\nVOLUME /v \\\r\r\nRUN x\nFROM b\nRUN y\n',
])('refuses what parsers read differently, or what would take in another line: %j', containerfile => {
  expect(() => moveVolumes(containerfile)).toThrow(expect.objectContaining({ code: 422, stage: 'stack' }));
});

it('finds a volume however it is written', () => {
  expect(volumeIn('RUN echo VOLUME /v')).toBeUndefined();
  expect(volumeIn('RUN x\nVOL\\\nUME /v')).toBe('VOLUME /v');
  expect(volumeIn('# escape=`\nVOL`\nUME /v')).toBe('VOLUME /v');
});

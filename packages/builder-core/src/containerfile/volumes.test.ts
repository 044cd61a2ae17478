import { expect, it } from 'vitest';
import { readContainerfile } from './parse.ts';
import { renderInstruction } from './render.ts';
import { moveVolumes } from './volumes.ts';

const moved = (text: string) => moveVolumes(readContainerfile(text).instructions).map(renderInstruction);

it.each([
  ['RUN x\n', ['RUN x']],
  ['VOLUME /v\nRUN x', ['RUN x', 'VOLUME /v']],
  ['VOLUME /v\n \\\nRUN x\n', ['RUN x', 'VOLUME /v']],
  [
    ' volume ["/v"]\nRUN x\nVOLUME /w \\\n# and\n  /x\nENV A=b\nVOLUME $V\nRUN y\n',
    ['RUN x', 'ENV A=b', 'RUN y', 'VOLUME ["/v"]', 'VOLUME /w /x', 'VOLUME $V'],
  ],
])('puts volumes at the end of their stage: %j', (text, expected) => {
  expect(moved(text)).toEqual(expected);
});

it.each([
  'VOLUME $A\nENV A=b',
  'VOLUME /v/$' + '{A:-x}\nENV B=c A=b',
  'VOLUME ["$A"]\nARG A',
  'VOLUME $A\nENV A b',
])('refuses one that would be another there: %j', text => {
  expect(() => moved(text)).toThrow(
    expect.objectContaining({
      code: 422,
      stage: 'stack',
      message: expect.stringMatching(/^line 1: VOLUME: \$A /),
    }),
  );
});

import { expect, test } from 'vitest';
import { normalise } from './normalise.ts';
import { readContainerfile } from './parse.ts';
import { inRepository } from './refusal.ts';
import { renderInstruction } from './render.ts';

const shell = ['/bin/bash', '-c'];
const rendered = (containerfile: string) =>
  readContainerfile(containerfile).instructions.map(instruction =>
    renderInstruction(normalise(instruction, shell, inRepository)),
  );

test.each([
  [
    'RUN <<EOF\necho a\n# b\n\nFROM x\nEOF\nRUN c',
    ['RUN ["/bin/bash","-c","echo a\\n# b\\n\\nFROM x\\n"]', 'RUN c'],
  ],
  ['RUN <<-"EOF"\n\ta\n\t\tEOF', ['RUN ["/bin/bash","-c","a\\n"]']],
  ['RUN <<EOF\r\na\r\nEOF\r\n', ['RUN ["/bin/bash","-c","a\\n"]']],
  ['RUN cat <<EOF > /x && b\n$A\nEOF', ['RUN ["/bin/bash","-c","cat <<EOF > /x && b\\n$A\\nEOF"]']],
  ['RUN true && \\\n cat <<A - 3<<\'B\' "<<C"\na\nA\nb\nB', null],
  [
    'RUN --mount=type=tmpfs,target=/t cat <<A - <<\'B\' "<<C"\na\nA\nb\nB',
    ['RUN --mount=type=tmpfs,target=/t ["/bin/bash","-c","cat <<A - <<\'B\' \\"<<C\\"\\na\\nA\\nb\\nB"]'],
  ],
  [
    'RUN <<EOF\n#!/usr/bin/env python3\nprint(1)\nEOF',
    ['RUN ["/usr/bin/env","python3","-c","#!/usr/bin/env python3\\nprint(1)\\n"]'],
  ],
  ['RUN <<EOF\n#!/bin/sh -eux\nx\nEOF', ['RUN ["/bin/sh","-eux","-c","#!/bin/sh -eux\\nx\\n"]']],
  // None is begun, but a parser might think so.
  ['RUN echo $((1<<2))', ['RUN ["/bin/bash","-c","echo $((1<<2))"]']],
  ['RUN cat <<< a', ['RUN ["/bin/bash","-c","cat <<< a"]']],
  ['RUN echo "a <<EOF"', ['RUN ["/bin/bash","-c","echo \\"a <<EOF\\""]']],
  ['ENV A=<<B', ['ENV A=<<B']],
  ['LABEL a="RUN <<EOF"', ['LABEL a="RUN <<EOF"']],
  ['RUN echo a<b\n# RUN <<EOF', ['RUN echo a<b']],
])('become arguments of the shell: %j', (containerfile, expected) => {
  if (expected === null) expect(() => rendered(containerfile)).toThrow('line 1: ');
  else expect(rendered(containerfile)).toEqual(expected);
});

test.each([
  'RUN <<EOF',
  'RUN <<EOF\necho',
  'RUN <<EOF;\necho\nEOF;',
  'RUN <<2\necho\n2',
  'RUN cat <<EOF\ufeff\nx\nEOF',
  'RUN cat <<"A B"\necho\nA B',
  'RUN cat <<$A\necho\n$A',
  'RUN echo "a <<EOF\nEOF',
  'RUN a $' + '{A:-<<EOF} <<EOF\nx\nEOF',
  'RUN <<EOF\n#!/usr/bin/php\nx\nEOF',
  'RUN <<EOF\n#!/usr/bin/env -S python3 -u\nx\nEOF',
  "COPY <<'a' /b\nx\na",
  'add 3<<x /y\nx',
  'ONBUILD RUN <<EOF\nx\nEOF',
  'ONBUILD RUN echo $((1 <<2))',
])('are refused where they are not understood: %j', containerfile => {
  expect(() => rendered(containerfile)).toThrow(
    expect.objectContaining({ code: 422, stage: 'stack', message: expect.stringMatching(/^line 1: /) }),
  );
});

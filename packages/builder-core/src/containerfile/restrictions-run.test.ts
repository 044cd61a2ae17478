import { expect, it } from 'vitest';
import { defaultShell, normalise } from './normalise.ts';
import { readContainerfile } from './parse.ts';
import { inRepository } from './refusal.ts';
import { renderInstruction } from './render.ts';
import { checkRestrictions } from './restrictions.ts';

const check = (text: string) => checkRestrictions(readContainerfile(text).instructions, inRepository);
const refused = expect.objectContaining({
  code: 422,
  stage: 'stack',
  message: expect.stringMatching(/^line \d+: /),
});

it.each([
  'FROM a\nRUN echo --mount=type=bind\n',
  'FROM a\nRUN x \\\n  --mount=type=bind,target=/x\n',
  'FROM a\nRUN --mount=type=tmpfs,target=/x y\n',
  'FROM a\nRUN --mount=type=cache,id=npm,target=/root/.npm npm ci\n',
  'FROM a\nRUN --mount=target=/root/.npm,type=cache,id=a.b,sharing=locked --mount=type=tmpfs,target=/t npm ci\n',
  'FROM a\nCOPY --from=b /x /y\n# RUN --mount=type=bind\n',
  'FROM a\nRUN --mount=type=cache,target=/root/.npm,uid=1000,gid=1000,mode=0755 npm ci\n',
  'FROM a\nRUN --mount="type=tmpfs,target=/x" y\n',
])('lets through %j', containerfile => {
  expect(() => check(containerfile)).not.toThrow();
});

it.each([
  'RUN --mount=type=bind,from=e,source=/link,target=/p x',
  'RUN --mount=target=/p x',
  'RUN --mount=type=cache,id=../../etc,target=/p x',
  'RUN --mount=type=cache,id=a/b,target=/p x',
  'RUN --mount=type=cache,id=..,target=/p x',
  'RUN --mount=type=cache,id=a,target=../p x',
  'RUN --mount=type=cache,id=a,target=/p/../x x',
  'RUN --mount=type=cache,id=a,source=/x,target=/p x',
  'RUN --mount=type=cache,id=a,from=b,target=/p x',
  'RUN --mount=type=tmpfs,type=bind,target=/p x',
  `RUN --mount=type=$\{T},target=/p x`,
  'RUN --mo"unt"=type=bind,target=/p x',
  'RUN --mount=type=tmpfs,target=/a --mount=type=bind,target=/p x',
  'run\t--mount=type=bind,target=/p x',
  '\u0085RUN\u0085--mount=type=bind,target=/p x',
  'ONBUILD RUN --mount=type=bind,target=/p x',
  'R\\\nUN --mo\\ \n# between\n\nunt=type=bind,target=/p x',
  '# escape=`\nRUN --mo`\nunt=type=bind,target=/p x',
  'ENV A=`\nRUN --mount=type=bind,target=/p x',
  'RUN --security=insecure x',
  'LABEL a=b \\\n\ufeff\nRUN --mount=type=bind,target=/p x',
  '# a comment does not continue \\\nRUN --mount=type=bind,target=/p x',
  '# neither \\\n# does another `\nRUN --mount=type=bind,target=/p x',
  'RUN --mount=type=bind,target=/p x # \u2028 y',
  'RUN --mount=type=bind,target=/p x \r y',
  'RUN echo \\\u00a0\nRUN --mount=type=bind,target=/p x',
  'RUN echo \\\\\nRUN --mount=type=bind,target=/p x',
  'ONBU\u0130LD RUN --mount=type=bind,target=/p x',
  'RUN --mount=type=bind,target=/p \\',
  // buildah ends a flag at single-byte spaces alone, and reads on after any other.
  ...['\u3000', '\u2003', '\u2028', '\u00a0', '\u0085', '\ufeff', '\u200b', '\v', '\f', '\r'].map(
    space =>
      `RUN --mount=type=cache,id=a,target=/c${space}x --mount=type=bind,source=link/x,target=/y,rw=true z`,
  ),
  'RUN --mount=type=cache,id=a,target=/c\u3000x y',
  'RUN --mount=type=tmpfs,target=/x,uid=1 y',
  'RUN --mount=type=cache,target=/x,uid=-1 y',
  'RUN --network=host y',
  'RUN -- --mount=type=bind,target=/p y',
])('refuses %j', line => {
  expect(() => check(`FROM a\n${line}\n`)).toThrow(refused);
});

const rendered = (text: string) =>
  readContainerfile(`FROM a\n${text}\n`).instructions.map(one =>
    renderInstruction(normalise(one, defaultShell, inRepository)),
  )[1];

it.each([
  ['RUN --mount=type=cache,id=a,target=/c,sharing=locked x', 'RUN --mount=type=cache,id=a,target=/c x'],
  ['RUN --mount=sharing=private,type=cache,id=a,target=/c x', 'RUN --mount=type=cache,id=a,target=/c x'],
  [
    'RUN --mount=type=cache,sharing=locked,id=a,target=/c \\\n  --mount=type=cache,id=b,target=/d,sharing=shared x',
    'RUN --mount=type=cache,id=a,target=/c --mount=type=cache,id=b,target=/d x',
  ],
  ['RUN --mount=type=cache,id=sharing,target=/c x', 'RUN --mount=type=cache,id=sharing,target=/c x'],
  [
    'ONBUILD RUN --mount=type=cache,id=a,target=/c,sharing=locked x',
    'ONBUILD RUN --mount=type=cache,id=a,target=/c x',
  ],
])('%j says nothing of sharing to buildah', (text, without) => {
  expect(() => check(`FROM a\n${text}\n`)).not.toThrow();
  expect(rendered(text)).toBe(without);
});

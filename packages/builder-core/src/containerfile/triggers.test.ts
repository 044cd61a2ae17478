import { expect, it } from 'vitest';
import { readTriggers } from './triggers.ts';

const whose = 'base image a: ONBUILD ';

it.each([
  [[]],
  [['COPY app.txt /app.txt', 'RUN ["/bin/busybox","cat","/app.txt"]']],
  [
    [
      'COPY package*.json ./',
      'RUN npm ci && \\\n  npm cache clean --force',
      'copy --chown=1:1 . .',
      'ENV A=b',
    ],
  ],
  [['# escape', '', 'RUN --mount=type=cache,id=a,target=/c x', 'ADD https://x/y.tar.gz /z']],
])('are read: %j', triggers => {
  expect(() => readTriggers(triggers, whose)).not.toThrow();
});

it.each([
  ['RUN --mount=type=bind,target=/x y'],
  ['RUN \\', '--mount=type=bind,target=/x y'],
  ['RUN --mount=type=cache,target=/x y'],
  ...['locked', 'shared', 'private'].map(how => [`RUN --mount=type=cache,id=a,sharing=${how},target=/x y`]),
  ['RUN --mount=type=cache,id=a,target=/c\u3000x --mount=type=bind,target=/y z'],
  ['RUN cat <<EOF'],
  ['RUN cat <<EOF\nEOF'],
  ['RUN echo $((1<<2))'],
  ['COPY <<EOF /x\nEOF'],
  ['COPY --from=dir:/x a b'],
  ['COPY --chown=dir:/x--from a b'],
  ['ADD https://x/y.git#a:../../etc b'],
  ['ADD https://x/$Y b'],
  ['ADD $Y b'],
  ['VOLUME /v'],
  ['RUN x', 'VOL\\', 'UME /v'],
  ['FROM b'],
  ['ONBUILD RUN x'],
  ['MAINTAINER x'],
  ['WHAT x'],
  ['# escape=`', 'RUN x `', 'RUN --mount=type=bind,target=/x y'],
  ['RUN x \\\\', 'RUN y'],
  ['RUN x\u00a0'],
  ['RUN\vx'],
  [`RUN ${'x'.repeat(65_000)}`],
])('are refused by the name of their image: %j', (...triggers) => {
  expect(() => readTriggers(triggers, whose)).toThrow(
    expect.objectContaining({
      code: 422,
      stage: 'stack',
      message: expect.stringMatching(/^base image a: ONBUILD /),
    }),
  );
});

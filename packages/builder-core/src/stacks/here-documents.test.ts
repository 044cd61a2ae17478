import { expect, test } from 'vitest';
import { checkHereDocuments } from './here-documents.ts';

test.each([
  'RUN <<EOF',
  'FROM a\nRUN <<EOF\necho\nEOF',
  'RUN cat <<-"EOF" > /x',
  "COPY <<'a' /b",
  'add 3<<x /y',
  'RUN true && \\\n cat <<EOF',
  'ONBUILD RUN <<EOF',
])('refused: %j', containerfile => {
  expect(() => checkHereDocuments(containerfile)).toThrow(
    expect.objectContaining({
      code: 422,
      stage: 'stack',
      message: expect.stringContaining('here-documents'),
    }),
  );
});

test.each([
  'RUN echo $((1<<2))',
  'RUN cat <<< a',
  'RUN echo a<b',
  'ENV A=<<B',
  '# RUN <<EOF',
  'LABEL a="RUN <<EOF"',
])('possible: %j', containerfile => {
  expect(() => checkHereDocuments(containerfile)).not.toThrow();
});

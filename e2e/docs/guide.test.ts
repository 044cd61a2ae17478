import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { missingFrom, readGuide } from './guide.ts';
import { root } from './tree.ts';

const page = `# A page

## One

Words. On each host:

\`\`\`sh
echo "$NAME"
  echo two
\`\`\`

After a while
you see:

\`\`\`text
host-…
\`\`\`

## Two

On central:

\`\`\`sh
true
\`\`\`

1. On host-1, host-2: [One](#one),
   [Two](#two)
2. Other words
`;

test('a page is read into sections with the machine and the expected output of each block', () => {
  expect(readGuide(page)).toEqual([
    { title: 'A page', anchor: 'a-page', steps: [] },
    {
      title: 'One',
      anchor: 'one',
      steps: [
        {
          kind: 'block',
          on: 'each host',
          script: 'echo "$NAME"\n  echo two',
          shows: ['host-…'],
          isPatient: true,
        },
      ],
    },
    {
      title: 'Two',
      anchor: 'two',
      steps: [
        { kind: 'block', on: 'central', script: 'true', shows: [], isPatient: false },
        { kind: 'again', on: ['host-1', 'host-2'], anchors: ['one', 'two'] },
      ],
    },
  ]);
});

test('a block that does not name its machine is refused', () => {
  expect(() => readGuide('# A\n\nDo this:\n\n```sh\nls\n```\n')).toThrow(
    'a block does not say where it runs: ls',
  );
  expect(() => readGuide('# A\n\nYou see:\n\n```text\nls\n```\n')).toThrow('no block shows this: ls');
});

test('expected output is matched line by line, and … matches anything', () => {
  const output = 'not healthy\n  up 4 s (host-1)\n';
  expect(missingFrom(output, ['not …', 'up … s (host-1)'])).toEqual([]);
  expect(missingFrom(output, ['healthy', 'up … s (host-2)'])).toEqual(['healthy', 'up … s (host-2)']);
});

test.each(['first-app', 'mesh', 'backup'])(
  'docs/guide/%s.md is such a page, and its lists lead to sections with blocks',
  name => {
    const sections = readGuide(readFileSync(join(root, `docs/guide/${name}.md`), 'utf8'));
    const withBlocks = sections.filter(({ steps }) => steps.some(({ kind }) => kind === 'block'));
    expect(withBlocks.length).toBeGreaterThan(3);
    const named = sections.flatMap(({ steps }) =>
      steps.flatMap(step => (step.kind === 'again' ? step.anchors : [])),
    );
    expect(named.filter(anchor => !withBlocks.some(section => section.anchor === anchor))).toEqual([]);
  },
);

import { describe, expect, it } from 'vitest';
import { anchorsOf, fencesOf, headingsOf, linksOf } from './markdown.ts';

const page = `# coold: variables & flags

[one](a.md#x), [web](https://example.com), ![image](b.png), \`[not](a-link)\`

\`\`\`sh
# not a heading
[not](a-link)
\`\`\`

## Change a host's token
## Change a host's token

[label]: c.md
`;

describe('a page', () => {
  it('has headings outside of fenced blocks only', () => {
    expect(headingsOf(page)).toEqual([
      'coold: variables & flags',
      "Change a host's token",
      "Change a host's token",
    ]);
  });

  it('has anchors as GitHub makes them', () => {
    expect(anchorsOf(page)).toEqual([
      'coold-variables--flags',
      'change-a-hosts-token',
      'change-a-hosts-token-1',
    ]);
  });

  it('has links other than web addresses', () => {
    expect(linksOf(page)).toEqual(['a.md#x', 'b.png', 'c.md']);
  });

  it('has fenced blocks with their language', () => {
    expect(fencesOf(page)).toEqual([{ language: 'sh', text: '# not a heading\n[not](a-link)\n' }]);
  });
});

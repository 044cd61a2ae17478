import { expect, test } from 'vitest';
import { renderPage } from './page.ts';
import { packetTable } from './table.ts';
import { worlds } from './world.ts';

const group = 'Allow rules' as const;

test('the page has every row, one line for all paths of a kind, and the results of each kind of host', () => {
  const page = renderPage(packetTable(), worlds, [
    {
      name: 'Debian 12',
      outcomes: {
        fresh: [
          { id: 'rule-on-both', group, expected: 'passes', wrong: 'did not arrive' },
          { id: 'rule-on-source', group, expected: 'dropped' },
        ],
      },
    },
  ]);
  const lines = page.split('\n');
  for (const { id } of packetTable())
    expect(lines.filter(line => line.startsWith(`| \`${id.split('/')[0]}\` |`))).toHaveLength(1);
  expect(page).toContain('| each other, 42 ways |');
  expect(page).toMatch(/^\| fresh \| .* \| 1 of 2 \|$/m);
  expect(page).toMatch(/^\| `rule-on-both` \|.*\| \*\*not on Debian 12: fresh\*\* \|$/m);
  expect(page).toContain('- Debian 12, fresh: `rule-on-both` is expected as passes: did not arrive');
});

test('a page without failures mentions none', () => {
  const outcomes = { fresh: [{ id: 'rule-on-both', group, expected: 'passes' as const }] };
  const page = renderPage(packetTable(), worlds, [{ name: 'Debian 13', outcomes }]);
  expect(page).not.toContain('does not hold');
  expect(page).not.toContain('**not on');
});

// Reads a page that a reader follows from its first block to its last: the machine and the expected output of each
// block. Pure.
import { anchorsOf, headingsOf } from './markdown.ts';

/** A heading of the page and the content below it. */
export interface GuideSection {
  title: string;
  anchor: string;
  steps: GuideStep[];
}

export type GuideStep =
  | {
      kind: 'block';
      /** The text between "On" and the colon: `central`, `each host`, `host-1`. */
      on: string;
      script: string;
      /** Lines that its output must have; `…` matches anything. Empty: the page shows no output. */
      shows: string[];
      /** Whether the output appears only after a while. The block only reads, so it may be repeated until then. */
      isPatient: boolean;
    }
  /** Sections that are repeated, with these machines as the hosts. */
  | { kind: 'again'; on: string[]; anchors: string[] };

/**
 * Reads a page by these rules: the last line before an `sh` block ends in "On MACHINE:". A `text` block is the output
 * of the block before it; the output comes after a while when the paragraph before begins with "After". An item "1. On
 * MACHINE, MACHINE: [A](#a)" repeats sections.
 *
 * @throws Error for a block that does not name its machine, and for a `text` block without a preceding `sh` block
 */
export function readGuide(page: string): GuideSection[] {
  const titles = headingsOf(page);
  const anchors = anchorsOf(page);
  const sections: GuideSection[] = [];
  let paragraph: string[] = [];
  let item: string[] = [];
  let fence: { language: string; lines: string[] } | undefined;
  for (const line of page.split('\n')) {
    if (fence !== undefined) {
      if (line !== '```') fence.lines.push(line);
      else {
        addFence(sections.at(-1), fence.language, fence.lines, paragraph);
        fence = undefined;
        paragraph = [];
      }
      continue;
    }
    if (item.length > 0 && line.startsWith(' ')) item.push(line.trim());
    else {
      addAgain(sections.at(-1), item.join(' '));
      item = /^\d+\. /.test(line) ? [line] : [];
    }
    if (line.startsWith('```')) fence = { language: line.slice(3), lines: [] };
    else if (/^#+ /.test(line)) {
      const number = sections.length;
      sections.push({ title: titles[number] ?? '', anchor: anchors[number] ?? '', steps: [] });
      paragraph = [];
    } else {
      // The blank line before a fence does not end the paragraph that introduces it.
      if (paragraph.at(-1) === '') paragraph = [];
      paragraph.push(line);
    }
  }
  return sections;
}

function addFence(
  section: GuideSection | undefined,
  language: string,
  lines: readonly string[],
  before: readonly string[],
): void {
  const said = before.filter(line => line !== '');
  const steps = section?.steps ?? [];
  switch (language) {
    case 'sh': {
      const on = /(?:^|\. )On ([a-z0-9 -]+):$/.exec(said.at(-1) ?? '')?.[1];
      if (on === undefined) throw new Error(`a block does not say where it runs: ${lines[0]}`);
      steps.push({ kind: 'block', on, script: lines.join('\n'), shows: [], isPatient: false });
      return;
    }
    case 'text': {
      const block = steps.at(-1);
      if (block?.kind !== 'block') throw new Error(`no block shows this: ${lines[0]}`);
      block.shows = [...lines];
      block.isPatient = said[0]?.startsWith('After') ?? false;
      return;
    }
    default:
      return;
  }
}

/** Adds a numbered item if it repeats sections. */
function addAgain(section: GuideSection | undefined, item: string): void {
  const [, on, sections = ''] = /^\d+\. On ([a-z0-9, -]+): (.*)/.exec(item) ?? [];
  if (on === undefined) return;
  const anchors = [...sections.matchAll(/\]\(#([\w-]+)\)/g)].map(([, anchor = '']) => anchor);
  section?.steps.push({ kind: 'again', on: on.split(', '), anchors });
}

/**
 * Returns the lines of `shows` that are missing from the output. `…` matches anything, and leading and trailing spaces
 * are ignored. Pure.
 */
export function missingFrom(output: string, shows: readonly string[]): string[] {
  const lines = output.split('\n');
  return shows.filter(show => {
    const pattern = new RegExp(`^\\s*${show.trim().split('…').map(RegExp.escape).join('.*')}\\s*$`);
    return !lines.some(line => pattern.test(line));
  });
}

// The parts of Markdown that the tests of the pages need. Pure.

/** A fenced block of a page. */
export interface Fence {
  language: string;
  text: string;
}

/** Returns the fenced blocks of a page, in order. */
export function fencesOf(page: string): Fence[] {
  return [...page.matchAll(/^```([a-z]*)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({
    language,
    text,
  }));
}

/** Returns a page with its fenced blocks blanked, so that line numbers stay the same. */
function withoutFences(page: string): string {
  return page.replaceAll(/^```[\s\S]*?^```$/gm, block => block.replaceAll(/[^\n]/g, ''));
}

/** Returns the headings of a page without their marks, in order. */
export function headingsOf(page: string): string[] {
  return [...withoutFences(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => heading.trim());
}

/** Returns the anchors that GitHub makes of a page's headings: lower-case, without punctuation, `-` for spaces. */
export function anchorsOf(page: string): string[] {
  const seen = new Map<string, number>();
  return headingsOf(page).map(heading => {
    const plain = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-');
    const before = seen.get(plain) ?? 0;
    seen.set(plain, before + 1);
    return before === 0 ? plain : `${plain}-${before}`;
  });
}

/** Returns the targets, as written, of a page's links and images that are not web addresses. */
export function linksOf(page: string): string[] {
  const prose = withoutFences(page).replaceAll(/`[^`\n]*`/g, '');
  const targets = [
    ...[...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target),
    ...[...prose.matchAll(/^\[[^\]]+\]: (\S+)$/gm)].map(([, target = '']) => target),
  ];
  return targets.filter(target => !/^[a-z]+:/.test(target));
}

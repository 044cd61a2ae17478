// What the tests of the pages have to know of Markdown. Pure.

/** A fenced block of a page. */
export interface Fence {
  language: string;
  text: string;
}

/** The fenced blocks of a page, in their order. */
export function fencesOf(page: string): Fence[] {
  return [...page.matchAll(/^```([a-z]*)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({
    language,
    text,
  }));
}

/** A page without its fenced blocks: what is prose, with its lines where they were. */
function withoutFences(page: string): string {
  return page.replaceAll(/^```[\s\S]*?^```$/gm, block => block.replaceAll(/[^\n]/g, ''));
}

/** The headings of a page without their marks, in their order. */
export function headingsOf(page: string): string[] {
  return [...withoutFences(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => heading.trim());
}

/** The anchors that a page's headings have on GitHub: lower-case, without punctuation, `-` for spaces. */
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

/** The targets of a page's links and images that are no addresses of the web, as written. */
export function linksOf(page: string): string[] {
  const prose = withoutFences(page).replaceAll(/`[^`\n]*`/g, '');
  const targets = [
    ...[...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target),
    ...[...prose.matchAll(/^\[[^\]]+\]: (\S+)$/gm)].map(([, target = '']) => target),
  ];
  return targets.filter(target => !/^[a-z]+:/.test(target));
}

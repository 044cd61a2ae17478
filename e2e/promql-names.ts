const keywords = new Set([
  ...['and', 'or', 'unless', 'on', 'ignoring', 'group_left', 'group_right', 'bool', 'offset'],
  ...['by', 'without', 'inf', 'nan'],
]);

/**
 * Returns the names of the metrics that a PromQL expression reads. It supports only the syntax that the dashboards use.
 */
export function metricNames(expr: string): string[] {
  const bare = expr
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '');
  // A name before a parenthesis is a function; numbers and durations begin with a digit.
  const names = bare.match(/(?<![\w:.$])[A-Za-z_:][\w:]*(?!\w)(?!\s*\()/g) ?? [];
  return [...new Set(names.filter(name => !keywords.has(name.toLowerCase())))];
}

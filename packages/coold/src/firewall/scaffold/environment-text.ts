/**
 * Parses a file of variables as systemd parses `EnvironmentFile=`: one variable a line, comments begin with `#` or `;`,
 * values may be quoted, and a backslash at the end of a line continues it. Lines that assign nothing are skipped. Pure.
 */
export function readEnvironmentText(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  for (const line of text.replaceAll(/\\\r?\n/g, '').split(/\r?\n/)) {
    if (/^\s*[#;]/.test(line)) continue;
    const [, name, value] = /^\s*([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) variables.set(name, unquote(value));
  }
  return variables;
}

/** As in a shell, quotes may begin anywhere in a value. */
function unquote(value: string): string {
  return value.replaceAll(
    /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g,
    (_, double: string | undefined, single: string | undefined, escaped: string | undefined) =>
      double?.replaceAll(/\\(["\\$`])/g, '$1') ?? single ?? escaped ?? '',
  );
}

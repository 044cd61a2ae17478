import { redacted } from './redact.ts';

/**
 * Returns `systemctl cat` of a unit without the values of Environment= and credentials, any of which may be a secret.
 * Pure.
 */
export function showUnit(text: string): string {
  return text
    .replaceAll(/\\\r?\n\s*/g, ' ')
    .split('\n')
    .map(line => {
      const [, key] =
        /^\s*(Environment|PassEnvironment|SetCredential|SetCredentialEncrypted)\s*=/.exec(line) ?? [];
      if (key === undefined) return line;
      const names = [...line.matchAll(/(?:[\s="'])([A-Za-z_]\w*)=/g)].map(([, name]) => name);
      return `${key}=${names.map(name => `${name}=${redacted}`).join(' ') || redacted}`;
    })
    .join('\n');
}

/** Returns the values that were left out, so that they can be redacted elsewhere. Pure. */
export function hiddenInUnit(text: string): string[] {
  return text
    .replaceAll(/\\\r?\n\s*/g, ' ')
    .split('\n')
    .filter(line => /^\s*(?:Environment|SetCredential)\s*=/.test(line))
    .flatMap(line =>
      [...line.matchAll(/[\s="']([A-Za-z_]\w*)[=:]("[^"]*"|'[^']*'|[^\s"']*)/g)].flatMap(
        ([, , value = '']) => {
          const bare = value.replaceAll(/^["']|["']$/g, '');
          return bare.startsWith('/') || !/[^\d.:]/.test(bare) ? [] : [bare];
        },
      ),
    );
}

import { isObject } from '@coold/runtime';

/** Replaces a secret. */
export const redacted = '<redacted>';

/** Removes secrets from texts of unknown structure. Pure. */
export interface Redactor {
  text(text: string): string;
  /** Redacts the strings in a value, and the values of keys that name a secret. */
  value(value: unknown): unknown;
}

/** Shorter secrets would remove ordinary words from every line. */
const leastLength = 6;
/** The length of a name before the word that marks it as a secret, in characters. */
const maxBegin = 24;

/** A name that contains one of these has a secret value. */
const plainWords =
  'password|passwd|passphrase|secret|token|credentials?|(?:db|root|user|admin|sql|smtp|mail)pass|' +
  '(?:api|private|preshared|signing|master|session|shared|ssh)[_-]?key|session[_-]?id';
/** Only as separate words: "author" and "compass" contain them too. */
const shortWords =
  'pass|pwd|pw|psk|auth|authorization|jwt|cookies?|dsn|access_?keys?|encryption_?keys?|app_?key';
const plain = new RegExp(plainWords, 'i');
const short = new RegExp(`(?:^|[^a-z])(?:${shortWords})(?:$|[^a-z])`);

/** Whether a key names a secret. Names of files, folders and counts do not. Pure. */
export function isSecretName(name: string): boolean {
  if (/(?:file|path|dir|folder|count|total|seconds|max|left|ends?)s?$/i.test(name)) return false;
  const words = name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase();
  return plain.test(name) || short.test(words);
}

const patterns: readonly [RegExp, string][] = [
  // Keys and certificates. An incomplete one is removed to the end of its text.
  [/-----BEGIN [A-Z0-9 ]+-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|$)/g, redacted],
  // Signed tokens, with or without their signature.
  [/\beyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?/g, redacted],
  [/\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?)[^"'\r\n]+/gi, `$1${redacted}`],
  [/\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${redacted}`],
  // The user information of a URL. With a slash in it, it is no URL and is part of an error message about that.
  [/\b([a-z][a-z0-9+.-]{0,32}:\/\/)[^\s/?#"'<>]+@/gi, `$1${redacted}@`],
  [
    /\b([a-z][a-z0-9+.-]{0,32}:\/\/)[^\s/?#@:"'<>]{1,64}:(?!\d{1,5}[/@])[^\s"'<>@]{1,256}@(?!sha\d)/gi,
    `$1${redacted}@`,
  ],
  [/(?<![\w./:@%+-])[\w.%+-]{1,64}:[^\s/@:"'<>]{1,256}@(?!sha\d)(?=[a-z0-9])/gi, `${redacted}@`],
  // Tokens in the formats of known services.
  [/\b(?:gh[opsur]_|github_pat_|glpat-|xox[abprs]-|sk-|[rs]k_live_|AKIA|ASIA)[\w-]{10,}/g, redacted],
  // 32 bytes in base64, the format of WireGuard keys.
  [/(?<![\w+/=])[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=(?![\w+/=])/g, redacted],
  // Command-line options.
  [/(\s-u\s{0,4}[\w.@%+-]{1,64}:)[^\s"']+/g, `$1${redacted}`],
  [/\b((?:login|sshpass|mysql\w*|mariadb[\w-]*)\s[^\n]{0,200}?(?<=\s)-p\s?)[^\s"']+/g, `$1${redacted}`],
  [/\b(redis-cli\s[^\n]{0,200}?(?<=\s)-a\s)[^\s"']+/g, `$1${redacted}`],
  [/\b((?:set-)?cookie["']?\s*:\s*)[^\r\n"']+/gi, `$1${redacted}`],
];

/**
 * The end of a name and its value, as written by environment files, shells, JSON, YAML and URLs; also JSON within JSON.
 */
const assignment = new RegExp(
  `((?:${plainWords}|${shortWords})[\\w.-]{0,24})(\\\\?["']?\\s{0,8}[:=]\\s{0,8}|(?<=--[\\w.-]{1,24})\\s{1,8})` +
    `(\\\\"(?:[^"\\\\]|\\\\[^"])*\\\\"|"(?:[^"\\\\]|\\\\.)*"|'[^']*'|[|>][+-]?\\s{1,16}[^\\n]+|` +
    // Characters that end a value elsewhere belong to it, unless another name or a string follows.
    `[^\\s"',;&{}[\\]]+(?:[,;&{}[\\]]+(?![\\w.-]{1,64}["']?[:=])[^\\s"',;&{}[\\]]+)*)`,
  'gi',
);

/** A secret after its name in a sentence or in `.netrc`: a word with a letter and a digit that is not a path. */
const said =
  /\b(password|passphrase|passwd|secret|token)(\s{1,4}(?:is\s{1,4}|was\s{1,4})?["']?)(?=[^\s"'/]*[A-Za-z])(?=[^\s"'/]*\d)[^\s"'/:=]{6,}/gi;

/** A name and its value as two fields of an object, or as an XML element. */
const pair =
  /("(?:name|key)"\s{0,8}:\s{0,8}"([^"\\]{1,64})"\s{0,8},\s{0,8}"value"\s{0,8}:\s{0,8}")((?:[^"\\]|\\.)*)"/gi;
const element = /<([\w.:-]{1,64})>([^<]{1,4096})<\//g;

/** Words that may be base64 of a text. */
const encoded = /(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}={0,2}(?![A-Za-z0-9+/_=-])/g;
/** The depth of base64 within base64. */
const maxDepth = 2;
/** Longer words, in characters, are printed files. */
const maxEncoded = 64 * 1024;

/** A line break within a value, with the journal's prefix of the next line, or as JSON escapes it. */
const lineBreak = /(?:\r?\n|(?:\\r)?\\n)(?:\d{4}-\d\d-\d\dT\S{1,32} \S{1,64} [^\n:]{1,64}: )?[ \t]*/g;

/**
 * Long words of mixed letters and digits, such as generated keys and passwords. Identifiers are lower-case hexadecimal.
 */
const madeByPrograms = /(?<![\w+=-])[A-Za-z0-9+_-]{32,}={0,2}(?![\w+=-])/g;

/** @param secrets known ones, which are removed wherever they appear, also in base64 and percent-encoding */
export function createRedactor(secrets: readonly string[]): Redactor {
  const known = knownForms(secrets);
  const ofKnown = known.length === 0 ? undefined : new RegExp(known.map(literally).join('|'), 'g');

  const text = (given: string) => textAt(given, 0);

  function textAt(given: string, depth: number): string {
    let out = ofKnown === undefined ? given : withoutBroken(given.replaceAll(ofKnown, redacted), ofKnown);
    if (depth < maxDepth) out = out.replaceAll(encoded, word => (hidesSecret(word, depth) ? redacted : word));
    for (const [pattern, by] of patterns) out = out.replaceAll(pattern, by);
    out = out.replaceAll(said, `$1$2${redacted}`);
    out = out.replaceAll(pair, (whole, before: string, name: string) =>
      isSecretName(name) ? `${before}${redacted}"` : whole,
    );
    out = out.replaceAll(element, (whole, name: string) =>
      isSecretName(name) ? `<${name}>${redacted}</` : whole,
    );
    out = out.replaceAll(
      assignment,
      (whole, end: string, between: string, value: string, offset: number, line: string) =>
        value !== redacted && isSecretName(beginOfName(line, offset) + end)
          ? `${end}${between}${quoted(value)}`
          : whole,
    );
    return out.replaceAll(madeByPrograms, word =>
      /[A-Z]/.test(word) && /[a-z]/.test(word) && /\d/.test(word) ? redacted : word,
    );
  }

  /** Whether a word is base64 of a text that contains a secret. */
  function hidesSecret(word: string, depth: number): boolean {
    if (word.length > maxEncoded) return false;
    const inner = Buffer.from(word, 'base64').toString('latin1');
    return /^[\x20-\x7e\s]+$/.test(inner) && textAt(inner, depth + 1) !== inner;
  }

  function value(given: unknown): unknown {
    if (typeof given === 'string') return text(given);
    if (Array.isArray(given)) return given.map(value);
    if (!isObject(given)) return given;
    return Object.fromEntries(
      Object.entries(given).map(([key, inner]) => [
        text(key),
        isSecretName(key) ? valueOfSecret(inner) : value(inner),
      ]),
    );
  }
  /** An object below such a name describes secrets, for example when they expire; a plain value is a secret. */
  function valueOfSecret(inner: unknown): unknown {
    if (typeof inner === 'string' || typeof inner === 'number') return redacted;
    return Array.isArray(inner) ? inner.map(valueOfSecret) : value(inner);
  }
  return { text, value };
}

/** Removes secrets that contain a line break: searches the text without breaks, and keeps the breaks in place. */
function withoutBroken(given: string, ofKnown: RegExp): string {
  const breaks = [...given.matchAll(lineBreak)];
  if (breaks.length === 0) return given;
  /** Where each part begins in the given text and in the joined one. */
  const parts = [{ from: 0, joinedFrom: 0, end: breaks[0]?.index ?? 0 }];
  let joined = given.slice(0, breaks[0]?.index);
  for (const [n, { 0: between, index }] of breaks.entries()) {
    const [from, end] = [index + between.length, breaks[n + 1]?.index ?? given.length];
    parts.push({ from, joinedFrom: joined.length, end });
    joined += given.slice(from, end);
  }
  let out = '';
  let done = 0;
  let part = 0;
  const placeOf = (at: number) => {
    for (;;) {
      const next = parts[part + 1];
      if (next === undefined || next.joinedFrom > at) break;
      part += 1;
    }
    const { from, joinedFrom } = parts[part] ?? { from: 0, joinedFrom: 0 };
    return from + at - joinedFrom;
  };
  for (const { 0: found, index } of joined.matchAll(ofKnown)) {
    const from = placeOf(index);
    const to = placeOf(index + found.length - 1) + 1;
    const between = [...given.slice(from, to).matchAll(lineBreak)].map(([text]) => text);
    out += given.slice(done, from) + redacted + between.join('');
    done = to;
  }
  return out + given.slice(done);
}

/** Longest first, so that no secret is cut by a shorter one inside it. */
function knownForms(secrets: readonly string[]): string[] {
  const forms = new Set<string>();
  for (const secret of secrets.flatMap(partsOf))
    for (const form of formsOf(secret)) if (form.length >= leastLength) forms.add(form);
  return [...forms].sort((a, b) => b.length - a.length);
}

/** A secret of several lines may be printed line by line, and a token in parts. */
function partsOf(secret: string): string[] {
  const lines = secret.split('\n').map(line => line.trim());
  const ofToken = /^[\w-]+\.[\w-]+\.[\w-]+$/.test(secret.trim()) ? secret.trim().split('.') : [];
  return [secret.trim(), ...lines, ...ofToken].filter(
    part => part.length >= leastLength && !part.startsWith('-----'),
  );
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, 'utf8');
  // Depending on its offset in the encoded text, base64 has one of three forms; the first and last characters depend on
  // the neighbours.
  const within = [0, 1, 2].map(shift => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replaceAll('=', '');
    const from = shift === 0 ? 0 : shift + 1;
    const to = (shift + bytes.length) % 3 === 0 ? encoded.length : encoded.length - 1;
    return encoded.slice(from, to);
  });
  const urlSafe = within.map(form => form.replaceAll('+', '-').replaceAll('/', '_'));
  return [
    ...[secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)],
    ...[bytes.toString('hex'), bytes.toString('hex').toUpperCase()],
    ...within.filter(form => form.length >= leastLength + 2),
    ...urlSafe.filter(form => form.length >= leastLength + 2),
  ];
}

/** Returns the beginning of a name before a word in it. Searching from every position would take far longer. */
function beginOfName(line: string, offset: number): string {
  return /[\w.-]*$/.exec(line.slice(Math.max(0, offset - maxBegin), offset))?.[0] ?? '';
}

/** Keeps the quotes, so that JSON stays JSON. */
function quoted(value: string): string {
  const quote = /^(?:\\?"|')/.exec(value)?.[0] ?? '';
  return `${quote}${redacted}${quote}`;
}

const literally = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');

import { describe, expect, it } from 'vitest';
import { cooldCommand } from '../config.ts';
import { createRedactor, isSecretName } from './redact.ts';
import { showSettings } from './shown-settings.ts';

const secret = 'pl4nted-S3cret';
const { text, value } = createRedactor([]);

describe('what is known to be a secret', () => {
  const known = createRedactor(['k/ön own+secret"1', 'abcdef.ghijkl.mnopqr', 'line one\nline two\n', 'ab']);

  it('is taken out in every form that it may stand in', () => {
    const own = 'k/ön own+secret"1';
    for (const form of [
      own,
      JSON.stringify(own),
      encodeURIComponent(own),
      Buffer.from(own).toString('hex'),
      Buffer.from(own).toString('hex').toUpperCase(),
      Buffer.from(own).toString('base64'),
      Buffer.from(own).toString('base64url'),
      Buffer.from(`user:${own}`).toString('base64'),
      Buffer.from(`a:${own}:b`).toString('base64'),
      Buffer.from(`ab:${own}`).toString('base64'),
    ]) {
      const shown = known.text(`before ${form} after`);
      expect(shown, form).toContain('<redacted>');
      expect(shown).toMatch(/^before .* after$/);
      expect(shown).not.toContain(form.replaceAll('=', '').slice(8, -8));
    }
  });

  it('is taken out where a line breaks within it, also between two records of a journal', () => {
    const [begin, end] = ['abcdef.ghijkl', '.mnopqr'];
    const record = '2026-11-30T12:00:00+00:00 host-1 program[12]: ';
    for (const between of ['\n', '\r\n', '\\n', '\n    ', `\n${record}`]) {
      const shown = known.text(`${record}it was ${begin}${between}${end} again`);
      expect(shown, JSON.stringify(between)).not.toMatch(/ghijkl|mnopqr/);
      expect(shown).toContain('it was ');
      expect(shown).toContain(' again');
    }
    const wrapped = Buffer.from(`${'x'.repeat(50)}k/ön own+secret"1${'y'.repeat(50)}`).toString('base64');
    const within = Buffer.from('k/ön own+secret"1').toString('base64').slice(4, 12);
    for (const width of [20, 64, 76]) {
      const shown = known.text(wrapped.replaceAll(new RegExp(`.{${width}}`, 'g'), '$&\n'));
      expect(shown.replaceAll('\n', '')).not.toContain(within);
    }
  });

  it('is taken out of base64 of base64', () => {
    const twice = Buffer.from(Buffer.from('password is abcdef.ghijkl.mnopqr').toString('base64'));
    expect(known.text(`x ${twice.toString('base64')} y`)).toBe('x <redacted> y');
  });

  it('of several lines goes line by line, a token by its parts, and two letters stay', () => {
    expect(known.text('a line one b')).toBe('a <redacted> b');
    expect(known.text('x ghijkl y')).toBe('x <redacted> y');
    expect(known.text('about')).toBe('about');
  });
});

describe('what looks like a secret', () => {
  it.each([
    `POSTGRES_PASSWORD=${secret}`,
    `export DB_PASSWORD="${secret} with blanks"`,
    `password: ${secret}`,
    `{"api_key":"${secret}"}`,
    `{"apiKey": "${secret}"}`,
    `"msg":"{\\"token\\":\\"${secret}\\"}"`,
    `https://example.com/?token=${secret}&a=b`,
    `https://user:${secret}@example.com/path`,
    `redis://:${secret}@cache:6379/0`,
    `Authorization: Bearer ${secret}`,
    `authorization: Basic ${Buffer.from(`u:${secret}`).toString('base64')}`,
    `curl -H "Authorization: token ${secret}"`,
    `sent bearer ${secret}`,
    `mysql --password ${secret} --host db`,
    `mysql --password=${secret}`,
    `Set-Cookie: session=${secret}; Path=/`,
    `PrivateKey = ${secret}`,
    `-----BEGIN EC PRIVATE KEY-----\n${secret}\n-----END EC PRIVATE KEY-----`,
    `-----BEGIN PRIVATE KEY-----\\n${secret}\\n-----END PRIVATE KEY-----`,
    `-----BEGIN PRIVATE KEY-----\n${secret}`,
    `https://user:p@${secret}@example.com/path`,
    `https://user:p/${secret}@example.com/path`,
    `user:${secret}@registry.example.com/app:1: unauthorized`,
    `Error: initializing source docker://user:${secret}@registry.example.com/app:1: pinging container registry`,
    `podman login -u user -p ${secret} registry`,
    `curl -u user:${secret} https://example.com`,
    `mysql -uroot -p${secret} shop`,
    `redis-cli -h cache -a ${secret}`,
    `PASSWORD=first,${secret}`,
    `PASSWORD=first;${secret}`,
    `PASSWORD=first&${secret}`,
    `PASSWORD=first{${secret}}`,
    `{"name":"DB_PASSWORD","value":"${secret}"}`,
    `<password>${secret}</password>`,
    `password: |\n  ${secret}`,
    `the password is ${secret}`,
    `password '${secret}' is wrong`,
    `machine example.com login user password ${secret}`,
    `credentials: ${secret}`,
    `SIGNING_KEY=${secret}`,
    `MASTER_KEY=${secret}`,
    `DB_PW=${secret}`,
    `DBPASS=${secret}`,
    `wifi psk=${secret}`,
    `sessionid=${secret}`,
    `x ${Buffer.from(`DB_PASSWORD=${secret}`).toString('base64')} y`,
  ])('%s', line => {
    const shown = text(line);
    expect(shown).toContain('<redacted>');
    expect(shown).not.toContain(secret);
    expect(shown).not.toContain(Buffer.from(`u:${secret}`).toString('base64'));
    expect(shown).not.toContain(Buffer.from(`DB_PASSWORD=${secret}`).toString('base64'));
  });

  it('is a JWT, whole or without its signature, and a long word that a program made', () => {
    const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';
    expect(text(`dialled with ${jwt}.`)).toBe('dialled with <redacted>.');
    expect(text('x eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0 y')).toBe('x <redacted> y');
    // A key of WireGuard; of half of them there is a slash in it.
    for (const key of [
      'yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=',
      'yAnz5TF/lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=',
    ])
      expect(text(`wg1 ${key} (none)`)).toBe('wg1 <redacted> (none)');
    expect(text('with ghp_abcdefghijklmnopqrstuvwxyz0123456789 now')).toBe('with <redacted> now');
    expect(text('key aGVsbG8gd29ybGQgdGhpcyBpcyBhIGtleSAx end')).toBe('key <redacted> end');
  });
});

describe('what is not a secret stays', () => {
  it.each([
    'COOLD_API_TOKEN_FILE=/etc/coolify/api-token',
    'COOLD_HOST_JWT_PATH=/etc/coolify/host-jwt',
    `sha256:${'0123456789abcdef'.repeat(4)}`,
    '/var/lib/containers/storage/overlay/0123456789abcdef0123456789abcdef0123456789abcdef/merged',
    '-A COOLIFY-ALLOW -s 10.210.5.2/32 -d 10.210.6.3/32 -p tcp -m comment --comment cid:644d80ecc835:default -j ACCEPT',
    'the token ends at 2026-12-01T00:00:00.000Z',
    'b9f0c1de-2f11-4a58-9a6e-7d24c4d3b3a1',
    'grpcs://broker.example.com:6443/v1/agent',
    'docker://localhost:5000/app@sha256:0123456789abcdef',
    'registry.example.com/app:1@sha256:0123456789abcdef',
    'token of host-1 is good for 30 days, the password was refused',
    '"token":{"ends":1},"list":[1,2]',
    'PublicKey = unknown',
    '-A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT',
    'nft add rule inet filter input tcp dport 22 accept',
  ])('%s', line => {
    expect(text(line)).toBe(line);
  });

  it('and names tell files from what is in them', () => {
    expect(
      ['password', 'DB_PASSWORD', 'apiToken', 'api-key', 'jwt', 'X_SECRET'].filter(isSecretName),
    ).toHaveLength(6);
    expect(
      ['token_file', 'COOLD_HOST_JWT_PATH', 'author', 'compass', 'keys', 'monkey'].filter(isSecretName),
    ).toEqual([]);
  });
});

it('values keep their shape', () => {
  const given = {
    passwords: ['one', { name: 'two' }],
    a: [{ password: 'short', n: 1, nested: { url: 'http://u:p@h/' } }],
    token: 5,
    ok: true,
    none: null,
  };
  expect(value(given)).toEqual({
    passwords: ['<redacted>', { name: 'two' }],
    a: [{ password: '<redacted>', n: 1, nested: { url: 'http://<redacted>@h/' } }],
    token: '<redacted>',
    ok: true,
    none: null,
  });
});

it('of an environment file only what coold understands is shown', () => {
  const shown = showSettings(
    cooldCommand,
    `COOLD_HOST_MGMT_IP=100.64.0.1\nCOOLD_BROKER_URL=grpcs://u:${secret}@broker\nMY_SETTING=${secret}\nCOOLD_API_TOKEN_FILE=/etc/token\n`,
  );
  expect(shown).toEqual({
    known: { COOLD_HOST_MGMT_IP: '100.64.0.1', COOLD_API_TOKEN_FILE: '/etc/token' },
    others: ['COOLD_BROKER_URL', 'MY_SETTING'],
    hidden: [`grpcs://u:${secret}@broker`, secret],
  });
});

it.each([
  'a',
  'a.',
  '-----BEGIN A-----',
  'token',
  'token=',
  '--token ',
  'a:',
  'eyJ',
  '"',
  '\\"',
  'password="',
  'password=a,',
  'a://b:',
  'a:b@',
  'QUJD',
  '\n',
  '\\n',
  'password is ',
  '-p a',
  '<password>',
  '{"name":"',
  ' ',
])('half a megabyte of %j takes no longer than its length', part => {
  const started = performance.now();
  text(part.repeat(500_000 / part.length));
  expect(performance.now() - started).toBeLessThan(5000);
});

it('JSON within a text stays JSON', () => {
  const shown = text('{"password":"x y","n":1,"inner":"{\\"token\\":\\"abc\\"}"}');
  expect(JSON.parse(shown)).toEqual({ password: '<redacted>', n: 1, inner: '{"token":"<redacted>"}' });
});

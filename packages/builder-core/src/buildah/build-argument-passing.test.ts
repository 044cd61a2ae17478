import { expect, it } from 'vitest';
import { toolEnvironment } from '../tools/tool-environment.ts';
import { passArguments } from './build-argument-passing.ts';

it.each([
  ...['NPM_TOKEN', 'API_KEY', 'DATABASE_URL', 'VITE_API_URL', 'DB_PASSWORD', 'SECRET_KEY_BASE'],
  ...['apiToken', 'stripe_secret_live', 'SENTRY_DSN', 'COMPOSER_AUTH', 'BASIC_AUTH_PASS'],
])('the value of %s is in the environment alone', name => {
  expect(passArguments({ [name]: 'x=y\nz' })).toEqual({
    args: [`--build-arg=${name}`],
    env: { [name]: 'x=y\nz' },
  });
});

it.each([
  ...[
    'LD_PRELOAD',
    'LD_LIBRARY_PATH',
    'ld_preload',
    'GODEBUG',
    'GOMAXPROCS',
    'GOGC',
    'GLIBC_TUNABLES',
    'MALLOC_PERTURB_',
  ],
  ...[
    'CONTAINERS_CONF',
    'CONTAINERS_STORAGE_CONF',
    'CONTAINER_HOST',
    'BUILDAH_ISOLATION',
    'STORAGE_OPTS',
    'TMPDIR',
  ],
  ...[
    'HOME',
    'PATH',
    'XDG_RUNTIME_DIR',
    'OCICRYPT_KEYPROVIDER_CONFIG',
    'HTTP_PROXY',
    'no_proxy',
    'SSL_CERT_FILE',
  ],
  ...[
    'BUILD_REGISTRY_SOURCES',
    'REGISTRY_AUTH_FILE',
    'NOTIFY_SOCKET',
    'LISTEN_FDS',
    'DBUS_SESSION_BUS_ADDRESS',
    'TERM',
  ],
  ...[
    '_CONTAINERS_USERNS_CONFIGURED',
    'RUN_OCI_SECCOMP_RECEIVER',
    'RES_OPTIONS',
    'SOME_LIBRARY_CONF',
    'LOGLEVEL',
  ],
  ...[
    'SOURCE_DATE_EPOCH',
    'NETAVARK_BINARY',
    'GNUPGHOME',
    'LC_ALL',
    'TZ',
    'DEBUG',
    'SSH_AUTH_SOCK',
    'USER',
    'SHELL',
  ],
  ...['GIT_SSH', 'GIT_CONFIG_COUNT', 'GIT_CONFIG_KEY_0', 'GIT_CONFIG_VALUE_0', 'SSL_KEY', 'GPG_PASSPHRASE'],
])('%s, which means something to programs, is no variable of buildah', name => {
  expect(passArguments({ [name]: 'x' })).toEqual({ args: [`--build-arg=${name}=x`], env: {} });
});

it.each([
  ...['XZ_OPT', 'XZ_DEFAULTS', 'GZIP', 'PIGZ', 'ZSTD_NBTHREADS', 'MOBY_DISABLE_PIGZ', 'REQUEST_METHOD'],
  ...['COLUMNS', 'PS4', 'IFS', 'OPTIND', 'NO_COLOR', 'APP_ENV', 'version', 'A'],
])('%s, which suggests no secret, is passed as an argument and not in the environment', name => {
  expect(passArguments({ [name]: 'x' })).toEqual({ args: [`--build-arg=${name}=x`], env: {} });
});

it('no variable that tools get from us can be set', () => {
  const given = [
    'PATH',
    'http_proxy',
    'ALL_PROXY',
    'SSL_CERT_DIR',
    'GIT_SSL_CAINFO',
    'CONTAINERS_REGISTRIES_CONF',
  ];
  const env = toolEnvironment(Object.fromEntries(given.map(name => [name, '/x'])), '/scratch');
  const { env: set } = passArguments(Object.fromEntries(Object.keys(env).map(name => [name, 'x'])));
  expect(Object.keys(set)).toEqual([]);
});

import { join } from 'node:path';
import { noLoginsIn } from './no-logins.ts';

/** Variables of ours that tools see: how to find programs, to reach the network, and Podman's own configuration. */
const passed = [
  ...['PATH', 'http_proxy', 'https_proxy', 'no_proxy', 'all_proxy', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY'],
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'GIT_SSL_CAINFO'],
  ...['CONTAINERS_CONF', 'CONTAINERS_STORAGE_CONF', 'CONTAINERS_REGISTRIES_CONF'],
];

/**
 * The environment of git and buildah: nothing of the host's or a user's configuration but what is meant for every program,
 * and a home and temporary folder that go when the build goes. Messages are in English: some are read.
 */
export function toolEnvironment(env: NodeJS.ProcessEnv, scratch: string): NodeJS.ProcessEnv {
  const kept = passed.flatMap(name => (env[name] === undefined ? [] : [[name, env[name]]]));
  return {
    ...Object.fromEntries(kept),
    LC_ALL: 'C',
    HOME: join(scratch, 'home'),
    TMPDIR: join(scratch, 'tmp'),
    // Without it buildah takes what `podman login` has left on this host, which opens images of others.
    REGISTRY_AUTH_FILE: noLoginsIn(scratch),
  };
}

/** git's: no configuration but ours, no question to anybody, and no protocol but the one that was asked for. */
export function gitEnvironment(
  env: NodeJS.ProcessEnv,
  { protocol, gitDir, checkout }: { protocol: string; gitDir: string; checkout: string },
): NodeJS.ProcessEnv {
  return {
    ...env,
    GIT_DIR: gitDir,
    GIT_WORK_TREE: checkout,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    // Empty: none, also none from the configuration.
    GIT_ASKPASS: '',
    SSH_ASKPASS_REQUIRE: 'never',
    GIT_ALLOW_PROTOCOL: protocol,
    GIT_LFS_SKIP_SMUDGE: '1',
    // Keys and known hosts are the operator's, in /etc/ssh: there is no home in the sandbox, and nobody to ask.
    GIT_SSH_COMMAND:
      'ssh -oBatchMode=yes -oConnectTimeout=30 -oServerAliveInterval=15 -oServerAliveCountMax=4 -oPermitLocalCommand=no',
    GIT_SSH_VARIANT: 'ssh',
  };
}

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The variables of this process that tools get: the search path, network settings, and the configuration of Podman. */
const passed = [
  ...['PATH', 'http_proxy', 'https_proxy', 'no_proxy', 'all_proxy', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY'],
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'GIT_SSL_CAINFO'],
  ...['CONTAINERS_CONF', 'CONTAINERS_STORAGE_CONF', 'CONTAINERS_REGISTRIES_CONF'],
];

/**
 * Returns the environment of git and buildah. It holds no configuration of the host or of a user but what is meant for every
 * program, and a home and temporary folder that are removed with the build. Messages are in English, since some are parsed.
 *
 * @param scratch the scratch folder of the build
 */
export function toolEnvironment(env: NodeJS.ProcessEnv, scratch: string): NodeJS.ProcessEnv {
  const kept = passed.flatMap(name => (env[name] === undefined ? [] : [[name, env[name]]]));
  return {
    ...Object.fromEntries(kept),
    LC_ALL: 'C',
    HOME: join(scratch, 'home'),
    TMPDIR: join(scratch, 'tmp'),
    // Without this, buildah uses the logins of `podman login` on this host, which give access to images of others.
    REGISTRY_AUTH_FILE: emptyAuthFileIn(scratch),
  };
}

/** Returns the environment of git: no configuration files, no prompts, and no protocol but that of the request. */
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
    // Empty means no askpass program, not even one from the configuration.
    GIT_ASKPASS: '',
    SSH_ASKPASS_REQUIRE: 'never',
    GIT_ALLOW_PROTOCOL: protocol,
    GIT_LFS_SKIP_SMUDGE: '1',
    // Keys and known hosts come from the operator, in /etc/ssh. The sandbox has no home, and no user who could answer.
    GIT_SSH_COMMAND:
      'ssh -oBatchMode=yes -oConnectTimeout=30 -oServerAliveInterval=15 -oServerAliveCountMax=4 -oPermitLocalCommand=no',
    GIT_SSH_VARIANT: 'ssh',
  };
}

/** Returns the path of the auth file without logins in a scratch folder. */
function emptyAuthFileIn(scratch: string): string {
  return join(scratch, 'no-logins.json');
}

/**
 * Writes an auth file without logins (containers-auth.json(5)), so that the tools of a build do not use the logins of this
 * host. A tool that needs the login of the build gets it in a file of its own, see auth-file.ts.
 *
 * @throws Error when the file cannot be written
 */
export async function writeEmptyAuthFile(scratch: string): Promise<void> {
  await writeFile(emptyAuthFileIn(scratch), '{"auths":{}}', { mode: 0o600 });
}

/** The two ways in which build arguments reach buildah. */
export interface PassedArguments {
  /** The arguments of buildah. */
  args: string[];
  /** Variables for the environment of buildah. */
  env: Record<string, string>;
}

/**
 * The first words of variables that buildah, the programs that it starts, or their libraries read. Such a variable in the
 * environment would change what root does on this machine.
 */
const reserved = [
  'AWS AZURE BASH BUILD BUILDAH BUILDKIT CGO CGROUP CNI CONTAINER CONTAINERS CRUN DBUS DEBUG DM DOCKER ENV',
  'GCONV GIT GLIBC GNUPGHOME GNUTLS GOOGLE GPG GPGME GRPC HOME HOST HOSTALIASES HOSTNAME IFS INVOCATION JOURNAL',
  'KRB5 KRUN LANG LANGUAGE LC LD LIBCRUN LISTEN LOCALDOMAIN LOCPATH LOGLEVEL LOGNAME MALLOC NETAVARK NIS',
  'NLSPATH NOTIFY OCI OCICRYPT OLDPWD OPENSSL OPT OTEL PATH PKCS11 PODMAN POSIXLY PWD QEMU REGISTRIES',
  'REGISTRY RES RESOLV ROOTLESSKIT RUN RUNTIME SHELL SOFTHSM2 SOURCE SSH SSL STORAGE SUDO SYSTEMD TEMP TERM',
  'TMP TMPDIR TZ TZDIR USER WATCHDOG XDG ZONEINFO',
]
  .join(' ')
  .split(' ');
const begins = new RegExp(`^(?:_|GO[A-Z]*(?:_|$)|LD|(?:${reserved.join('|')})(?:_|$))`, 'i');
/** Name endings that other libraries may use for variables that name a program, a file or an option. */
const ends =
  /(?:PROXY|CONF|CONFIG|PATH|DIR|HOME|FILE|BINARY|MODULE|PROVIDER|PRELOAD|CMD|COMMAND|EXEC|EDITOR|SHELL|OPTS|OPTIONS|FLAGS|TUNABLES)$/i;

/** Parts of names that suggest a secret. Few programs are configured by variables with such names, and those begin as above. */
const tells =
  /TOKEN|SECRET|PASS|PWD|CREDENTIAL|KEY|AUTH|PRIVATE|SIGN|SALT|JWT|COOKIE|LICEN[CS]E|WEBHOOK|DSN|UR[IL]/i;

/**
 * Decides for each build argument how buildah gets it. An argument whose name suggests a secret is passed by name, with its
 * value in the environment of buildah, which other users of the machine cannot read, unlike arguments. All others are passed
 * as arguments: no list can name every variable that some program which buildah starts as root reads. A secret whose name
 * could mean something to buildah or its libraries is passed as an argument, too.
 */
export function passArguments(buildArgs: Readonly<Record<string, string>>): PassedArguments {
  const entries = Object.entries(buildArgs);
  const isVisible = (name: string) => !tells.test(name) || begins.test(name) || ends.test(name);
  return {
    args: entries.map(([name, value]) => `--build-arg=${isVisible(name) ? `${name}=${value}` : name}`),
    env: Object.fromEntries(entries.filter(([name]) => !isVisible(name))),
  };
}

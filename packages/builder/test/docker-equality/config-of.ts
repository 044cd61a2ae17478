/** What an image says of how it runs, as `docker inspect` shows it; what is empty is left out. */
export type ImageConfig = Record<string, unknown>;

const shown = [
  ...['Env', 'Cmd', 'Entrypoint', 'WorkingDir', 'User', 'ExposedPorts', 'Volumes', 'Labels'],
  ...['StopSignal', 'Shell', 'Healthcheck', 'OnBuild'],
];

/**
 * Of a configuration in Docker's format, without `Hostname`: buildah writes some, and no engine gives it to a container. The order of variables says nothing, and a container without a folder begins in `/`,
 * which newer engines write down.
 */
export function configOf(config: Readonly<Record<string, unknown>>): ImageConfig {
  const { Env: env, WorkingDir: folder } = config;
  const plain = {
    ...config,
    Env: Array.isArray(env) ? env.map(String).sort() : env,
    WorkingDir: folder === '/' ? '' : folder,
  };
  return Object.fromEntries(
    Object.entries(plain).filter(([key, value]) => shown.includes(key) && !isEmpty(value)),
  );
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

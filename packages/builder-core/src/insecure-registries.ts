/** The variable that names registries without TLS, as coold has it and hands it on. */
export const insecureRegistriesVariable = 'COOLD_BUILDER_INSECURE_REGISTRIES';

/** Registries that an operator lets be spoken to without TLS, as `host:port`; none unless they are named. */
export function insecureRegistries(env: NodeJS.ProcessEnv): string[] {
  return (env[insecureRegistriesVariable] ?? '')
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '');
}

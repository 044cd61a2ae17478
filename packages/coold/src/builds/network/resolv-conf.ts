/** Returns the /etc/resolv.conf of a build. Its timeouts outlast a restart of coold. */
export function buildResolvConf(gateway: string): string {
  return [
    '# Names in builds are looked up by coold, with the resolver of this host.',
    `nameserver ${gateway}`,
    'options timeout:2 attempts:5',
    '',
  ].join('\n');
}

import { expectExec, type Host } from './provider.ts';

/** The image of scenario containers: busybox and nothing else. */
export const busyboxImage = 'localhost/coold-e2e/busybox:latest';

/**
 * Builds the image in a host's storage, from scratch and without a registry. It contains this machine's own busybox,
 * which must be the static one of Debian's busybox-static; the host needs none.
 *
 * @param as its name, and the default command of its containers
 */
export async function loadBusyboxImage(
  host: Host,
  as: { name: string; command: readonly string[] } = { name: busyboxImage, command: idle },
): Promise<void> {
  const root = '/var/tmp/coold-e2e-busybox';
  const archive = `${root}.tar`;
  await host.put({ file: '/bin/busybox' }, `${root}/bin/busybox`, 0o755);
  // busybox creates links to /bin/busybox, its path in the image.
  await expectExec(host, ['chroot', root, '/bin/busybox', '--install', '-s', '/bin']);
  await expectExec(host, ['install', '-d', '-m', '1777', `${root}/tmp`, `${root}/var/tmp`]);
  await expectExec(host, ['tar', '--create', '--file', archive, '--directory', root, '.']);
  await expectExec(host, [
    ...(['podman', 'import', '--quiet', '--change', `CMD ${JSON.stringify(as.command)}`] as const),
    ...['--change', 'ENV PATH=/bin', archive, as.name],
  ]);
  await expectExec(host, ['rm', '-rf', '--', root, archive]);
}

/** Idles until stopped. A first process that ignores SIGTERM would delay a host's reboot. */
const idle = ['sh', '-c', 'trap exit TERM; sleep infinity & wait'];

export interface RunningContainer {
  id: string;
  name: string;
  /** Its address on the network it was started in. */
  ip: string;
}

/** Starts a container of the busybox image in the background. */
export async function runContainer(
  host: Host,
  options: { name: string; network: string; command?: readonly string[]; args?: readonly string[] },
): Promise<RunningContainer> {
  const { name, network, command = [], args = [] } = options;
  // Podman would wait ten seconds for a program that ignores SIGTERM, as most first processes do.
  const id = await expectExec(host, [
    ...(['podman', 'run', '--detach', '--stop-timeout', '0', '--name', name, '--network', network] as const),
    ...[...args, busyboxImage, ...command],
  ]);
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  const ip = await expectExec(host, ['podman', 'inspect', '--type', 'container', '--format', format, name]);
  // With --replace, the id of the removed container is printed first.
  return { id: id.trim().split('\n').at(-1) ?? '', name, ip: ip.trim() };
}

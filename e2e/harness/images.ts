import { expectExec, type Host } from './provider.ts';

/** What containers of scenarios run: busybox and nothing else. */
export const busyboxImage = 'localhost/coold-e2e/busybox:latest';

/**
 * Puts the image into a host's storage, from scratch and without a registry. It is made of this machine's own busybox,
 * which has to be the static one of Debian's busybox-static; the host itself needs none.
 */
export async function loadBusyboxImage(host: Host, busybox = '/bin/busybox'): Promise<void> {
  const root = '/var/tmp/coold-e2e-busybox';
  const archive = `${root}.tar`;
  await host.put({ file: busybox }, `${root}/bin/busybox`, 0o755);
  // Its links lead to /bin/busybox by name, which is where it lies in the image.
  await expectExec(host, ['chroot', root, '/bin/busybox', '--install', '-s', '/bin']);
  await expectExec(host, ['install', '-d', '-m', '1777', `${root}/tmp`, `${root}/var/tmp`]);
  await expectExec(host, ['tar', '--create', '--file', archive, '--directory', root, '.']);
  await expectExec(host, [
    ...(['podman', 'import', '--quiet', '--change', `CMD ${JSON.stringify(idle)}`] as const),
    ...['--change', 'ENV PATH=/bin', archive, busyboxImage],
  ]);
  await expectExec(host, ['rm', '-rf', '--', root, archive]);
}

/** Does nothing until it is told to stop; a first process that ignores SIGTERM would hold up a host's reboot. */
const idle = ['sh', '-c', 'trap exit TERM; sleep infinity & wait'];

export interface RunningContainer {
  id: string;
  name: string;
  /** Address on the network it was started in. */
  ip: string;
}

/** Starts a container of the busybox image, in the background. */
export async function runContainer(
  host: Host,
  options: { name: string; network: string; command?: readonly string[]; args?: readonly string[] },
): Promise<RunningContainer> {
  const { name, network, command = [], args = [] } = options;
  // Without the ten seconds that Podman would grant a program that ignores SIGTERM, as most first processes do.
  const id = await expectExec(host, [
    ...(['podman', 'run', '--detach', '--stop-timeout', '0', '--name', name, '--network', network] as const),
    ...[...args, busyboxImage, ...command],
  ]);
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  const ip = await expectExec(host, ['podman', 'inspect', '--type', 'container', '--format', format, name]);
  // With --replace, what was removed is said first.
  return { id: id.trim().split('\n').at(-1) ?? '', name, ip: ip.trim() };
}

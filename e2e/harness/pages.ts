import type { FleetHost } from './fleet.ts';
import { type RunningContainer, runContainer } from './images.ts';
import { expectExec } from './provider.ts';

/** Starts an HTTP server that answers with its name, on port 80 or on others. */
export function serve(
  { host }: FleetHost,
  name: string,
  network: string,
  { args = [], ports = [80] }: { args?: readonly string[]; ports?: readonly number[] } = {},
): Promise<RunningContainer> {
  const [last = 80, ...others] = ports;
  const start = others.map(port => `httpd -p ${port} -h /www;`).join(' ');
  const script = `mkdir -p /www; echo ${name} >/www/index.html; ${start} exec httpd -f -p ${last} -h /www`;
  return runContainer(host, { name, network, args, command: ['sh', '-c', script] });
}

/** Requests a page once from a container. @returns the page; empty without an answer */
export async function fetched(from: FleetHost, container: string, url: string): Promise<string> {
  const wget = ['busybox', 'timeout', '-s', 'KILL', '2', 'wget', '-q', '-O', '-', url];
  const { stdout } = await from.host.exec(['podman', 'exec', container, ...wget], { timeoutMs: 30_000 });
  return stdout.trim();
}

/** Returns the current address of a container; empty when it has none. */
export async function addressOf({ host }: FleetHost, name: string): Promise<string> {
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
  return (
    await expectExec(host, ['podman', 'inspect', '--type', 'container', '--format', format, name])
  ).trim();
}

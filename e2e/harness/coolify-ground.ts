import { expectExec, type Host } from './provider.ts';

/** The path of the key on the host that runs `coolify`. */
export const sshKeyPath = '/root/.ssh/coolify-e2e';

/** Creates the key; call `letIn` for each host that has to accept it. @returns the public key */
export async function makeSshKey(operator: Host): Promise<string> {
  await expectExec(operator, ['install', '-d', '-m', '0700', '/root/.ssh']);
  await expectExec(operator, ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', sshKeyPath]);
  return (await operator.get(`${sshKeyPath}.pub`)).toString();
}

/**
 * Prepares a bare host of the lab for `coolify init`: SSH accepts the key, and everything that the CLI would install is
 * there, so that it has nothing to download. A kernel that does not track bridged connections gets rules that work
 * without, because the CLI's own need tracking.
 */
export async function letIn(host: Host, publicKey: string): Promise<void> {
  await openSsh(host, publicKey);
  // Debian 13 does not restart containers after a boot, and neither does the CLI.
  await expectExec(host, ['systemctl', 'enable', '--quiet', 'podman-restart.service']);
  await host.put(
    '#!/bin/sh\n# Every package that is asked for is there.\n',
    '/usr/local/sbin/apt-get',
    0o755,
  );
  if (await tracksBridges(host)) return;
  await host.put(nftWithoutConntrack, '/usr/local/sbin/nft', 0o755);
}

/** Lets root into a bare host over SSH with the key. */
export async function openSsh(host: Host, publicKey: string): Promise<void> {
  await host.put(publicKey, '/root/.ssh/authorized_keys', 0o600);
  await expectExec(host, ['chmod', '0700', '/root/.ssh']);
  await expectExec(host, ['ssh-keygen', '-A']);
  // The machine from which the lab's hosts are made may have masked it.
  await expectExec(host, ['systemctl', 'unmask', '--quiet', 'ssh.service']);
  await expectExec(host, ['systemctl', 'enable', '--quiet', '--now', 'ssh.service']);
}

async function tracksBridges(host: Host): Promise<boolean> {
  const rule =
    'add table bridge probe\nadd chain bridge probe c { type filter hook forward priority 0; }\nadd rule bridge probe c ct state established accept\n';
  return (await host.exec(['nft', '-c', '-f', '-'], { input: rule })).code === 0;
}

const nftWithoutConntrack = `#!/bin/sh
# As nft, but where this kernel cannot track bridged connections TCP segments that open nothing stand for them.
if [ "$*" = "-f /etc/coolify/bridge-fw.nft" ]; then
  sed 's/ct state established,related/tcp flags \\& (syn | ack) != syn/' /etc/coolify/bridge-fw.nft | /usr/sbin/nft -f -
else
  exec /usr/sbin/nft "$@"
fi
`;

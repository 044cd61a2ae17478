import type { Program } from '../programs.ts';

/** A Debian package of the release. */
export interface DebianPackage {
  name: string;
  role: Program['role'];
  /** One line, without an article at its beginning. */
  synopsis: string;
  /** Lines of at most 79 characters. */
  description: readonly string[];
  depends: readonly string[];
  recommends: readonly string[];
  /** Of the folder systemd/; all are enabled but templates. */
  units: readonly string[];
  /** Restarted by an upgrade where they run, in this order. */
  restarted: readonly string[];
  /** Files of settings in /etc/coolify. */
  settings: readonly string[];
}

/** What the Node inside links against, on the oldest Debian that is supported. */
const runtime = ['libc6 (>= 2.36)', 'libgcc-s1 (>= 12)', 'libstdc++6 (>= 12)', 'systemd (>= 252)'];

export const debianPackages: readonly DebianPackage[] = [
  {
    name: 'coold',
    role: 'host',
    synopsis: 'per-host agent of Coolify',
    description: [
      'coold runs on each host of a Coolify mesh. It manages containers through',
      'Podman, answers names of the mesh by DNS, keeps the default deny between',
      'containers and its allow rules in the kernel, and starts builds of images.',
      'The program that builds them is in this package, too.',
    ],
    depends: [...runtime, 'iproute2', 'iptables', 'nftables', 'podman (>= 4.3)', 'wireguard-tools'],
    recommends: ['buildah (>= 1.28)', 'crun', 'git'],
    units: [
      'coold.service',
      'coolify-mesh-fw.service',
      'coolify-mesh-allow.service',
      'coolify-build-net@.service',
    ],
    restarted: ['coolify-mesh-fw.service', 'coold.service'],
    settings: ['coold.env', 'mesh.env'],
  },
  {
    name: 'coold-broker',
    role: 'central',
    synopsis: 'central connection holder of Coolify hosts',
    description: [
      'The broker holds the streams of all coold hosts of a Coolify mesh, and',
      'serves Laravel on a Unix socket: commands to hosts, builds and events.',
    ],
    depends: runtime,
    recommends: [],
    units: ['broker.service'],
    restarted: ['broker.service'],
    settings: ['broker.env'],
  },
];

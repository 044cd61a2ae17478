import { brokerCommand } from '@coold/broker/config';
import { doctorCommand as brokerDoctorCommand } from '@coold/broker/doctor-command';
import { statusCommand as brokerStatusCommand } from '@coold/broker/status-command';
import { keygenCommand, tokenCommand } from '@coold/broker/token-commands';
import { cooldCommand } from '@coold/coold/config';
import { doctorCommand } from '@coold/coold/doctor-command';
import { scaffoldCommand } from '@coold/coold/scaffold-command';
import { statusCommand } from '@coold/coold/status-command';
import { supportCommand } from '@coold/coold/support-command';
import { teardownCommand } from '@coold/coold/teardown-command';
import { whyCommand } from '@coold/coold/why-command';
import type { Described } from '@coold/runtime';

/** A program, as its man page and its completions say it. */
export interface ProgramTable {
  name: string;
  /** One line. */
  summary: string;
  /** What follows the name and is no option. */
  operands?: string;
  /** The daemon's options; a program without has none but --help and --version. */
  daemon?: Described;
  /** Commands, by the words that choose them. */
  commands: readonly Described[];
  /** Files that it reads or makes, with what they are for. */
  files: readonly (readonly [string, string])[];
}

const settings = (name: string) => [`/etc/coolify/${name}.env`, `variables of ${name}.service`] as const;

/** Every program with its commands: man pages and completions are made from it. */
export const programTables: readonly ProgramTable[] = [
  {
    name: 'coold',
    summary: 'the per-host agent of Coolify',
    daemon: cooldCommand,
    commands: [doctorCommand, teardownCommand, scaffoldCommand, statusCommand, supportCommand, whyCommand],
    files: [
      settings('coold'),
      ['/etc/coolify/mesh.env', 'the default deny of this host'],
      ['/etc/coolify/api-token', 'the token of the REST API'],
      ['/etc/coolify/host-jwt', 'the token that the broker knows this host by'],
      ['/etc/coolify/allow.rules, /etc/coolify/allow.nft', 'the allow rules, as coold last wrote them'],
    ],
  },
  {
    name: 'builder',
    summary: 'builds an image from a git repository, and exits',
    operands: 'REQUEST.JSON WORK-FOLDER',
    commands: [],
    files: [],
  },
  {
    name: 'broker',
    summary: 'holds the streams of all hosts and serves Laravel on a Unix socket',
    daemon: brokerCommand,
    commands: [brokerDoctorCommand, keygenCommand, brokerStatusCommand, tokenCommand],
    files: [settings('broker'), ['/run/coolify/broker.sock', 'where Laravel asks']],
  },
];

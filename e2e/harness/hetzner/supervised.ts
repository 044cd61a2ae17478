import { shellLine } from './quote.ts';

/** How a program ended, as reported by the supervisor on the other side. */
export type Ending =
  | { kind: 'exit'; code: number }
  | { kind: 'signal'; signal: number }
  | { kind: 'timeout' };

/**
 * Returns a line with which a remote shell runs a program under supervision: in its own process group, which is killed
 * after the time limit, and with a report of its end on stderr after a mark. ssh itself does not tell a signal from an
 * exit code, nor exit code 255 from a lost connection, and does not kill what it started.
 */
export function supervisedLine(
  mark: string,
  timeoutMs: number,
  env: Readonly<Record<string, string>>,
  argv: readonly string[],
): string {
  const assignments = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  return shellLine([
    ...['exec', 'perl', '-e', supervisor, '--', mark, (timeoutMs / 1000).toFixed(3)],
    ...['env', '--chdir=/root', '-i', ...assignments, ...argv],
  ]);
}

/** Splits stderr into the program's own output and its ending; undefined when there is no report. */
export function readEnding(mark: string, stderr: string): { stderr: string; ending: Ending | undefined } {
  const at = stderr.lastIndexOf(mark);
  if (at < 0) return { stderr, ending: undefined };
  const match = /^ (exit|signal|timeout) (\d+)\n/.exec(stderr.slice(at + mark.length));
  if (match === null) return { stderr, ending: undefined };
  const rest = stderr.slice(0, at) + stderr.slice(at + mark.length + match[0].length);
  const number = Number(match[2]);
  if (match[1] === 'timeout') return { stderr: rest, ending: { kind: 'timeout' } };
  if (match[1] === 'signal') return { stderr: rest, ending: { kind: 'signal', signal: number } };
  return { stderr: rest, ending: { kind: 'exit', code: number } };
}

/**
 * Written in Perl, the only language on every Debian host that supports process groups. The watcher closes the pipes,
 * which would keep the connection open. It ignores TERM before it kills, so that its own end shows whether it killed.
 */
const supervisor = [
  'my ($mark, $limit) = splice @ARGV, 0, 2;',
  'my $program = fork; die "fork: $!\\n" unless defined $program;',
  'if (!$program) { setpgrp; exec { $ARGV[0] } @ARGV; print STDERR "$ARGV[0]: $!\\n"; exit 127 }',
  'my $watcher = fork; die "fork: $!\\n" unless defined $watcher;',
  'if (!$watcher) { close STDIN; close STDOUT; close STDERR; select undef, undef, undef, $limit;',
  '$SIG{TERM} = "IGNORE"; kill "KILL", -$program; exit 0 }',
  'waitpid $program, 0; my $status = $?;',
  'kill "TERM", $watcher; waitpid $watcher, 0; my $late = $? == 0; my $signal = $status & 127;',
  'my $end = $late ? "timeout 0" : $signal ? "signal $signal" : "exit " . ($status >> 8);',
  'print STDERR "$mark $end\\n"; exit($signal ? 128 + $signal : $status >> 8);',
].join(' ');

/** What the command line requests. */
export type Invocation =
  | { kind: 'build'; requestPath: string; workDir: string }
  | { kind: 'print'; text: string }
  | { kind: 'wrong'; text: string };

const usage = 'builder <request.json> <work_dir>';

const help = `builder: builds an image from a git repository, and exits

  ${usage}

  request.json  repo_url, git_ref, stack (static or dockerfile), target_image, cache_key,
                static_cfg {output_dir, base_image}, dockerfile_cfg {dockerfile, build_args, target},
                push {auth {username, password}}, base_images; the builder removes credentials from it
  work_dir      folder for events.ndjson and result.json or error.json

  --help        This text
  --version     The version, one line

Progress is also written to stdout, one JSON object per line. Exit 0: built, 1: not built, 2: usage or input/output, 130: cancelled by
SIGTERM.`;

/** Reads the command line. Pure. */
export function readInvocation(argv: readonly string[], version: string): Invocation {
  const [requestPath, workDir] = argv;
  if (argv.includes('--help') || argv.includes('-h')) return { kind: 'print', text: help };
  if (argv.includes('--version')) return { kind: 'print', text: `builder ${version}` };
  const option = argv.find(arg => arg.startsWith('-'));
  // Escaped, so that the message is one line whatever was passed.
  if (option !== undefined)
    return {
      kind: 'wrong',
      text: `builder: ${JSON.stringify(option).slice(1, -1)}: not an option: ${usage}`,
    };
  if (
    requestPath === undefined ||
    requestPath === '' ||
    workDir === undefined ||
    workDir === '' ||
    argv.length > 2
  )
    return { kind: 'wrong', text: `builder: expected two arguments: ${usage}` };
  return { kind: 'build', requestPath, workDir };
}

/** What the command line asks for. */
export type Invocation =
  | { kind: 'build'; requestPath: string; workDir: string }
  | { kind: 'print'; text: string }
  | { kind: 'wrong'; text: string };

const usage = 'builder <request.json> <work_dir>';

const help = `builder: makes an image of a git repository, and ends

  ${usage}

  request.json  repo_url, git_ref, stack (static or dockerfile), target_image, cache_key,
                static_cfg {output_dir, base_image}, dockerfile_cfg {dockerfile, build_args, target},
                push {auth {username, password}}, base_images; credentials are taken out as it is read
  work_dir      folder that gets events.ndjson and result.json or error.json

  --help        This text
  --version     The version, one line

Progress goes to stdout as well, one JSON a line. Exit 0: built, 1: not built, 2: usage or input/output, 130: cancelled by
SIGTERM.`;

export function readInvocation(argv: readonly string[], version: string): Invocation {
  const [requestPath, workDir] = argv;
  if (argv.includes('--help') || argv.includes('-h')) return { kind: 'print', text: help };
  if (argv.includes('--version')) return { kind: 'print', text: `builder ${version}` };
  const option = argv.find(arg => arg.startsWith('-'));
  // Escaped: whatever was passed, the complaint is one line.
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

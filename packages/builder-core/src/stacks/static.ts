import { opendir } from 'node:fs/promises';
import { BuildFailure } from '../build-failure.ts';
import { readContainerfile } from '../containerfile/parse.ts';
import { resolveInside } from '../repository/inside-repository.ts';
import type { StaticConfig } from '../request/build-request.ts';
import type { Stack } from './stack.ts';

/** Plans an image of a web server that serves a folder of the repository. Nothing of the repository runs. @throws BuildFailure 422 */
export const planStatic: Stack<StaticConfig> = async (checkout, { outputDir, baseImage }) => {
  const field = 'static_cfg.output_dir';
  const { path, stats } = await resolveInside(checkout, outputDir, field);
  const named = `${field}: ${JSON.stringify(outputDir)}`;
  if (!stats.isDirectory()) throw new BuildFailure(422, 'stack', `${named} is not a folder`);
  if (await isEmpty(path)) throw new BuildFailure(422, 'stack', `${named} is empty`);
  return {
    containerfile: readContainerfile(staticContainerfile(baseImage)),
    context: path,
    // Ignore files inside the folder are content like all other files.
    ignore: '',
    buildArgs: {},
    runs: false,
  };
};

async function isEmpty(path: string): Promise<boolean> {
  const folder = await opendir(path);
  try {
    return (await folder.read()) === null;
  } finally {
    await folder.close();
  }
}

/** The folder that the nginx image serves. */
const webRoot = '/usr/share/nginx/html/';

/**
 * Returns the Containerfile of the static stack. It holds no text of the repository: the folder is the whole context of the
 * build, and the name of the base image can hold neither a space nor a line break.
 */
export function staticContainerfile(baseImage: string): string {
  return `FROM ${baseImage}\nCOPY . ${webRoot}\n`;
}

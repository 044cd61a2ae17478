import { opendir } from 'node:fs/promises';
import { BuildFailure } from '../build-failure.ts';
import type { StaticConfig } from '../build-request.ts';
import { readContainerfile } from '../containerfile/parse.ts';
import { resolveInside } from '../inside-repository.ts';
import { staticContainerfile } from '../static-containerfile.ts';
import type { Stack } from './stack.ts';

/** Files as they lie in the repository, served by a web server's image. Nothing of the repository runs. */
export const planStatic: Stack<StaticConfig> = async (checkout, { outputDir, baseImage }) => {
  const field = 'static_cfg.output_dir';
  const { path, stats } = await resolveInside(checkout, outputDir, field);
  const named = `${field}: ${JSON.stringify(outputDir)}`;
  if (!stats.isDirectory()) throw new BuildFailure(422, 'stack', `${named} is no folder`);
  if (await isEmpty(path)) throw new BuildFailure(422, 'stack', `${named} is empty`);
  return {
    containerfile: readContainerfile(staticContainerfile(baseImage)),
    context: path,
    // Its own ignore files are content like everything in it.
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

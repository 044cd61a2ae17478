import { isBuiltin } from 'node:module';
import { basename } from 'node:path';
import { build, type Plugin } from 'esbuild';
import type { Program } from './programs.ts';

/** What a bundle was made of: files of installed packages, from the root of the repository. */
export interface Bundle {
  inputs: string[];
}

/**
 * Bundles a program into `<folder>/<name>.mjs`, and files beside it for what its commands import when they run: the engine
 * reads a file whole before it runs a line of it, and --version shall not wait for all of gRPC. Nothing else is needed but
 * Node's own modules. A program has read its files once it serves, and an upgrade leaves those of the release before.
 *
 * @throws Error when something would be missing at run time, such as a module with native code
 */
export async function bundleProgram(
  root: string,
  { name, entry, threads = [] }: Program,
  folder: string,
): Promise<Bundle> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [
      { in: entry, out: name },
      ...threads.map(thread => ({ in: thread, out: basename(thread, '.ts') })),
    ],
    outdir: folder,
    chunkNames: `${name}-[hash]`,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    target: `node${process.versions.node}`,
    format: 'esm',
    metafile: true,
    logLevel: 'warning',
    // Not minified: a stack trace in a journal is worth more than 1 MB beside a runtime of 116.
    minify: false,
    legalComments: 'none', // the licences' whole texts are in the package
    banner: { js: nodeModuleGlobals },
    plugins: [withoutSome],
  });
  const imports = Object.values(metafile.outputs).flatMap(output => output.imports);
  const missing = imports.filter(({ path, external }) => external === true && !isBuiltin(path));
  if (missing.length > 0)
    throw new Error(`${name} would need at run time: ${missing.map(({ path }) => path).join(', ')}`);
  return { inputs: Object.keys(metafile.inputs) };
}

/** CommonJS modules in the bundle ask for these; an ES module has none. */
const nodeModuleGlobals = [
  "import { createRequire as $createRequire } from 'node:module';",
  'const require = $createRequire(import.meta.url);',
  'const __filename = import.meta.filename;',
  'const __dirname = import.meta.dirname;',
].join('\n');

/** What our programs can do without, and what stands in its place. */
const leftOut: Record<string, string> = {
  // The debug module asks it whether a terminal has colours, if it is installed.
  'supports-color': '',
  // Its own entry loads fetch, WebSocket, mocks and SQLite as well: 10 MB of memory that nothing of ours uses. What is
  // missing here when something of ours imports it ends the bundling.
  undici: `
    import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
    import api from 'undici/lib/api/index.js';
    Object.assign(Dispatcher.prototype, api);
    export { default as Agent } from 'undici/lib/dispatcher/agent.js';
  `,
};

const withoutSome: Plugin = {
  name: 'without-some',
  setup(building) {
    const filter = new RegExp(`^(${Object.keys(leftOut).join('|')})$`);
    // Who stands in for a package finds the rest of it from where the package itself was asked for.
    building.onResolve({ filter }, ({ path, resolveDir }) => ({
      path,
      namespace: 'left-out',
      pluginData: resolveDir,
    }));
    building.onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path, pluginData }) => ({
      contents: leftOut[path] ?? '',
      loader: 'js',
      resolveDir: pluginData as string,
    }));
  },
};

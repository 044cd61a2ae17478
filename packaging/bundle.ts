import { mkdir, writeFile } from 'node:fs/promises';
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
  commit?: string,
): Promise<Bundle> {
  const { metafile, outputFiles } = await build({
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
    // The engine keeps the whole text of what it runs in memory. Names stay as they are, and lines are short, for the sake of
    // stack traces in a journal.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    // For --version (packages/runtime/src/daemon/release.ts).
    define: commit === undefined ? {} : { COOLD_COMMIT: JSON.stringify(commit) },
    legalComments: 'none', // the licences' whole texts are in the package
    banner: { js: nodeModuleGlobals },
    plugins: [withoutSome, withoutFacades],
    write: false,
  });
  await mkdir(folder, { recursive: true });
  for (const { path, text } of outputFiles) await writeFile(path, asciiText(path, text));
  const imports = Object.values(metafile.outputs).flatMap(output => output.imports);
  const missing = imports.filter(({ path, external }) => external === true && !isBuiltin(path));
  if (missing.length > 0)
    throw new Error(`${name} would need at run time: ${missing.map(({ path }) => path).join(', ')}`);
  return { inputs: Object.keys(metafile.inputs) };
}

/**
 * One character beyond Latin-1 would make V8 keep two bytes for each character of the file. The bundler escapes them, but not in
 * regular expressions.
 *
 * @throws Error for a character beyond ASCII where it cannot be escaped
 */
function asciiText(path: string, text: string): string {
  const at = text.search(/[^\0-\x7f]/);
  if (at >= 0) throw new Error(`${path} has a character beyond ASCII: ${text.slice(at - 60, at + 60)}`);
  return text;
}

/** CommonJS modules in the bundle ask for these; an ES module has none. */
const nodeModuleGlobals = [
  "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);",
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

/**
 * Takes Node's own modules as require() does. An import makes Node read every property of the module first, and one of
 * node:http loads all of fetch and WebSocket: 7 MB of memory and 100 ms of CPU for each program.
 */
const withoutFacades: Plugin = {
  name: 'without-facades',
  setup(building) {
    building.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'node-module' } : undefined,
    );
    building.onLoad({ filter: /.*/, namespace: 'node-module' }, ({ path }) => ({
      contents: moduleOfNode(path),
      loader: 'js',
    }));
  },
};

/** Returns an ES module that reads of one of Node's what is imported from it, and nothing else. */
function moduleOfNode(name: string): string {
  const found: unknown = process.getBuiltinModule(name);
  if ((typeof found !== 'object' && typeof found !== 'function') || found === null)
    throw new Error(`this Node has no ${name}`);
  const names = Object.keys(found).filter(key => /^[A-Za-z_$][\w$]*$/.test(key) && key !== 'default');
  return [
    `const all = process.getBuiltinModule(${JSON.stringify(name)});`,
    'const read = key => all[key];',
    'export default all;',
    // Marked as pure, the bundler leaves out what nothing imports.
    ...names.map((key, index) => `const own${index} = /* @__PURE__ */ read(${JSON.stringify(key)});`),
    `export { ${names.map((key, index) => `own${index} as ${key}`).join(', ')} };`,
  ].join('\n');
}

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFailure } from '../build-failure.ts';
import { failureReason, runTool } from '../tools/run-tool.ts';

// The records of containers-storage about images, layers and containers, read directly from its files. Asking buildah would
// cost a process and a lock, and a watched build asks several times a second. The storage replaces each file as a whole.

/** The location of the image storage. */
export interface Store {
  /** For example `/var/lib/containers/storage`. */
  root: string;
  /** For example `overlay` or `vfs`. */
  driver: string;
}

export interface ImageRecord {
  id: string;
  /** The full names. Empty for an image without a name. */
  names: string[];
  /** The digests of its manifests. */
  digests: string[];
  /** The id of the top layer. Absent where the image has no layer. */
  layer?: string;
}

export interface LayerRecord {
  id: string;
  parent?: string;
  /** The uncompressed bytes that the layer adds. 0 where that is not known. */
  size: number;
}

export interface ContainerRecord {
  id: string;
  layer?: string;
}

export interface StoreRecords {
  images: ReadonlyMap<string, ImageRecord>;
  layers: ReadonlyMap<string, LayerRecord>;
  containers: ReadonlyMap<string, ContainerRecord>;
}

/**
 * Asks buildah for the location of the storage.
 *
 * @throws BuildFailure, ChildError when buildah does not answer
 */
export async function findStore(
  env: NodeJS.ProcessEnv,
  { cwd, signal }: { cwd: string; signal: AbortSignal },
): Promise<Store> {
  const format = '{{.store.GraphDriverName}} {{.store.GraphRoot}}';
  const { code, stdout, stderrTail } = await runTool('buildah', ['info', `--format=${format}`], {
    env,
    stage: 'buildah',
    signal,
    cwd,
    timeoutMs: 60_000,
  });
  const [, driver, root] = /^([a-z0-9]+) (\/.+)$/.exec(stdout.trim()) ?? [];
  if (code !== 0 || driver === undefined || root === undefined)
    throw new BuildFailure(
      500,
      'buildah',
      `buildah has no storage: ${failureReason(stderrTail, /^Error: /)}`,
    );
  return { root, driver };
}

/** Returns the folder of the storage that holds the records of a kind. */
export function recordsFolder({ root, driver }: Store, kind: 'images' | 'layers' | 'containers'): string {
  return join(root, `${driver}-${kind}`);
}

/** Returns the folder that holds the files of a layer. */
export function layerFolder({ root, driver }: Store, id: string): string {
  return driver === 'vfs' ? join(root, driver, 'dir', id) : join(root, driver, id);
}

/** Reads all records of the storage. @throws Error when a file cannot be read or is malformed */
export async function readStore(store: Store): Promise<StoreRecords> {
  const [images, layers, containers] = await Promise.all(
    (['images', 'layers', 'containers'] as const).map(kind => readRecords(store, kind)),
  );
  return {
    images: byId((images ?? []).map(imageOf)),
    layers: byId((layers ?? []).map(layerOf)),
    containers: byId((containers ?? []).map(containerOf)),
  };
}

/** Returns the ids of a layer and all layers below it, from top to bottom. */
export function chainOf(layers: StoreRecords['layers'], top: string | undefined): string[] {
  const chain: string[] = [];
  for (let id = top; id !== undefined && !chain.includes(id); id = layers.get(id)?.parent) chain.push(id);
  return chain;
}

/** Returns the path of the mounts file that a working container was created with, undefined when it has none or is gone. */
export async function mountsFileOf(store: Store, container: string): Promise<string | undefined> {
  const path = join(recordsFolder(store, 'containers'), container, 'userdata', 'buildah.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return textIn(JSON.parse(text), 'defaultMountsFilePath');
  } catch {
    return undefined; // buildah is writing it at this moment
  }
}

/** Returns the working container that an image in docker format was committed from, undefined when the image does not name one. */
export async function containerOfImage(store: Store, image: string): Promise<string | undefined> {
  const key = `=${Buffer.from(`sha256:${image}`).toString('base64')}`;
  const path = join(recordsFolder(store, 'images'), image, key);
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : textIn(JSON.parse(text), 'container');
}

/** Reads the records of a kind, including volatile ones, which newer versions keep in a file of their own. */
async function readRecords(store: Store, kind: 'images' | 'layers' | 'containers'): Promise<unknown[]> {
  const folder = recordsFolder(store, kind);
  const there = await readdir(folder).catch(ignoreMissing);
  const names = [`${kind}.json`, `volatile-${kind}.json`].filter(name => there?.includes(name) === true);
  const read = names.map(async name => {
    const path = join(folder, name);
    const text = await readFile(path, 'utf8').catch(ignoreMissing);
    const value: unknown = text === undefined || text.trim() === '' ? [] : JSON.parse(text);
    if (value !== null && !Array.isArray(value)) throw new Error(`${path}: expected a list`);
    return value ?? [];
  });
  return (await Promise.all(read)).flat();
}

function imageOf(record: unknown): ImageRecord {
  const layer = textIn(record, 'layer');
  const digest = textIn(record, 'digest');
  const data = fieldIn(record, 'big-data-digests');
  const manifests = Object.entries(typeof data === 'object' && data !== null ? data : {})
    .filter(([name]) => name === 'manifest' || name.startsWith('manifest-'))
    .map(([, value]) => String(value));
  const names = fieldIn(record, 'names');
  return {
    id: textIn(record, 'id') ?? '',
    names: Array.isArray(names) ? names.map(String) : [],
    digests: [...new Set([...(digest === undefined ? [] : [digest]), ...manifests])],
    ...(layer === undefined ? {} : { layer }),
  };
}

function layerOf(record: unknown): LayerRecord {
  const parent = textIn(record, 'parent');
  const size = fieldIn(record, 'diff-size');
  return {
    id: textIn(record, 'id') ?? '',
    ...(parent === undefined ? {} : { parent }),
    size: typeof size === 'number' ? size : 0,
  };
}

function containerOf(record: unknown): ContainerRecord {
  const layer = textIn(record, 'layer');
  return { id: textIn(record, 'id') ?? '', ...(layer === undefined ? {} : { layer }) };
}

function byId<T extends { id: string }>(records: readonly T[]): Map<string, T> {
  return new Map(records.map(record => [record.id, record]));
}

function fieldIn(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}

function textIn(value: unknown, name: string): string | undefined {
  const field = fieldIn(value, name);
  return typeof field === 'string' && field !== '' ? field : undefined;
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}

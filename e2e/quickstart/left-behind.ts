// Removes what a killed quickstart left: its mounts, network, cgroups and folder. Started by watcher.ts.
import { rm } from 'node:fs/promises';
import { acquireFileLock } from '@coold/runtime';
import { clearLab } from '../harness/lab/lab.ts';

const [, , folder = ''] = process.argv;
const lock = await acquireFileLock(`${folder}.lock`);
// Without the lock, a newer quickstart has already replaced the folder by its own.
if (lock !== undefined) await rm(folder, { recursive: true, force: true });
await clearLab();
await lock?.release();

import type { ImageWords } from '../../podman/images.ts';
import { isPinLabel } from '../../podman/pinned-address.ts';
import { denied, isOfKernel } from './deny.ts';

// Handles what an image demands of whoever runs it (docs/contract.md §3). An image's annotations become the
// container's, and runtimes obey some of them, for example one that turns off their seccomp filter. Its labels become
// the container's too, and `podman auto-update`, which Debian's Podman runs every night, restarts the host unit that a
// label names. Pure.

/** Annotations that runtimes obey: those of crun, and those that address systemd, CRIU and sandbox runtimes. */
const runtimeAnnotation =
  /^(?:run\.oci|org\.systemd\.property|org\.criu|module\.wasm|io\.katacontainers|dev\.gvisor)\./i;
/** Annotations that Podman sets and also obeys when somebody else has set them. */
const podmanAnnotation = /^io\.(?:podman\.annotations|containers|kubernetes)\./i;

/**
 * What Podman 5 itself writes into every container that was started once: how systemd is to end it. If these were
 * refused, no container could be started again.
 */
const podmanOwn: Readonly<Record<string, RegExp>> = {
  'org.systemd.property.KillSignal': /^\d{1,3}$/,
  'org.systemd.property.TimeoutStopUSec': /^(?:@t |uint64 )?\d{1,20}$/,
};

const autoUpdate = 'io.containers.autoupdate';
const podmanLabel = /^(?:io\.containers\..*|PODMAN_SYSTEMD_UNIT)$/s;

/** @throws VerbError 403 for an image whose annotations runtimes obey, or with a volume at a forbidden path */
export function denyImage({ annotations, volumes }: ImageWords): void {
  const volume = volumes.find(isOfKernel);
  if (volume !== undefined)
    throw denied('image', `its volume ${told(volume)} belongs to the kernel and cannot be mounted over`);
  const order = Object.keys(annotations).find(
    name => runtimeAnnotation.test(name) || podmanAnnotation.test(name),
  );
  if (order !== undefined)
    throw denied('image', `its annotation ${told(order)} is an instruction to the runtime`);
}

/**
 * Refuses annotations that runtimes obey on a container that is about to run, whichever program created it.
 *
 * @throws VerbError 403
 */
export function denyRuntimeAnnotations(annotations: Record<string, string>): void {
  const order = Object.entries(annotations).find(
    ([name, value]) => runtimeAnnotation.test(name) && !podmanOwn[name]?.test(value),
  )?.[0];
  if (order !== undefined)
    throw denied('id', `its annotation ${told(order)} is an instruction to the runtime`);
}

/** @throws VerbError 403 for a label that Podman or coold acts on */
export function denyReservedLabels(labels: Record<string, string>): void {
  const order = Object.keys(labels).find(name => podmanLabel.test(name));
  if (order !== undefined) throw denied(`labels.${order}`, 'is an order to Podman');
  const pin = Object.keys(labels).find(isPinLabel);
  if (pin !== undefined) throw denied(`labels.${pin}`, 'is set by coold alone; name the address in "ip"');
}

/** Returns labels that override an image's labels that Podman would act on. */
export function labelsAgainst({ labels }: ImageWords): Record<string, string> {
  return Object.hasOwn(labels, autoUpdate) ? { [autoUpdate]: 'disabled' } : {};
}

function told(name: string): string {
  return JSON.stringify(name.slice(0, 100));
}

import { createKernelView, type KernelView, noKernelView } from '../netlink/kernel-view.ts';
import { loadNetlink } from '../netlink/netlink-socket.ts';
import { loadXtTables } from '../netlink/xt-socket.ts';
import { runTool } from './iptables.ts';
import { readBackend } from './iptables-plane.ts';
import { makeGeneration } from './monitor/generation-watch.ts';

/** Returns the kernel's view of the packet filter that the programs on the PATH change. */
export function loadKernelView(): KernelView {
  const [open, readTable] = [loadNetlink(), loadXtTables()];
  // Without node:ffi the kernel cannot be asked (docs/decisions/node-ffi.md).
  if (open === undefined || readTable === undefined) return noKernelView;
  return createKernelView({
    open,
    readTable,
    makeGeneration: () => makeGeneration(runTool),
    readBackend: () => readBackend(runTool),
  });
}

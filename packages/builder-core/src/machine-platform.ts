const architectures: Record<string, string> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

/** This machine as images name it, `linux/amd64`. */
export function machinePlatform(): string {
  return `linux/${architectures[process.arch] ?? process.arch}`;
}

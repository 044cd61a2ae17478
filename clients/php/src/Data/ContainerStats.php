<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

/** Sizes in bytes. */
final readonly class ContainerStats
{
    /**
     * @param string $id The whole id.
     * @param string $name The name.
     * @param float $cpuPercent Of one core: 200 is two cores at full load.
     * @param int $memory What it uses.
     * @param int $memoryLimit What it may use; that of the host where it has no limit.
     * @param int $netRx What came in by its networks.
     * @param int $netTx What went out by its networks.
     * @param int $blockRead What it read from disks.
     * @param int $blockWrite What it wrote to disks.
     * @param int $pids Processes and threads that it has.
     */
    public function __construct(
        public string $id,
        public string $name,
        public float $cpuPercent,
        public int $memory,
        public int $memoryLimit,
        public int $netRx,
        public int $netTx,
        public int $blockRead,
        public int $blockWrite,
        public int $pids,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['id'] ?? '',
            $data['name'] ?? '',
            (float) ($data['cpu_percent'] ?? 0),
            $data['memory'] ?? 0,
            $data['memory_limit'] ?? 0,
            $data['net_rx'] ?? 0,
            $data['net_tx'] ?? 0,
            $data['block_read'] ?? 0,
            $data['block_write'] ?? 0,
            $data['pids'] ?? 0,
        );
    }
}

<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class HostInfoAnswer
{
    /**
     * @param string $kernel The kernel's release.
     * @param list<float> $load Of 1, 5 and 15 minutes.
     * @param float $uptimeS Seconds since the host was booted.
     * @param \Coolify\Coold\Data\CooldInfo|null $coold This program.
     * @param \Coolify\Coold\Data\PodmanInfo|null $podman Podman on the host.
     * @param \Coolify\Coold\Data\MemoryInfo|null $memory Memory of the host.
     * @param \Coolify\Coold\Data\DiskInfo|null $disk The disk that holds Podman's storage.
     * @param \Coolify\Coold\Data\WireguardInfo|null $wireguard The mesh, as its interface has it.
     */
    public function __construct(
        public string $kernel,
        public array $load,
        public float $uptimeS,
        public ?\Coolify\Coold\Data\CooldInfo $coold,
        public ?\Coolify\Coold\Data\PodmanInfo $podman,
        public ?\Coolify\Coold\Data\MemoryInfo $memory,
        public ?\Coolify\Coold\Data\DiskInfo $disk,
        public ?\Coolify\Coold\Data\WireguardInfo $wireguard,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['kernel'] ?? '',
            array_map(floatval(...), $data['load'] ?? []),
            (float) ($data['uptime_s'] ?? 0),
            isset($data['coold']) ? \Coolify\Coold\Data\CooldInfo::from($data['coold']) : null,
            isset($data['podman']) ? \Coolify\Coold\Data\PodmanInfo::from($data['podman']) : null,
            isset($data['memory']) ? \Coolify\Coold\Data\MemoryInfo::from($data['memory']) : null,
            isset($data['disk']) ? \Coolify\Coold\Data\DiskInfo::from($data['disk']) : null,
            isset($data['wireguard']) ? \Coolify\Coold\Data\WireguardInfo::from($data['wireguard']) : null,
        );
    }
}

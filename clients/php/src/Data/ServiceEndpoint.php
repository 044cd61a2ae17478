<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class ServiceEndpoint
{
    /**
     * @param string $containerId The whole id.
     * @param string $containerIp Empty while it has none.
     * @param string $hostMgmtIp The address of its host in the mesh.
     * @param int $port 0 where none was given.
     * @param string $state Empty where nothing is known of the container.
     * @param string $health "healthy", "unhealthy", "starting" or "unknown"; empty where nothing is known of the
     * container.
     */
    public function __construct(
        public string $containerId,
        public string $containerIp,
        public string $hostMgmtIp,
        public int $port,
        public string $state,
        public string $health,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['container_id'] ?? '',
            $data['container_ip'] ?? '',
            $data['host_mgmt_ip'] ?? '',
            $data['port'] ?? 0,
            $data['state'] ?? '',
            $data['health'] ?? '',
        );
    }
}

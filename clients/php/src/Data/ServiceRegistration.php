<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class ServiceRegistration
{
    /**
     * @param string $serviceId As it was asked for.
     * @param string $containerId The whole of it, whatever the request named.
     * @param string $name As it was asked for.
     * @param string $namespace As it was asked for.
     * @param string $hostMgmtIp The address of this host in the mesh.
     * @param int $port 0 where none was given.
     */
    public function __construct(
        public string $serviceId,
        public string $containerId,
        public string $name,
        public string $namespace,
        public string $hostMgmtIp,
        public int $port,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['service_id'] ?? '',
            $data['container_id'] ?? '',
            $data['name'] ?? '',
            $data['namespace'] ?? '',
            $data['host_mgmt_ip'] ?? '',
            $data['port'] ?? 0,
        );
    }
}

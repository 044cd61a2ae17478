<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class DnsLeftOut
{
    /**
     * @param string $address IPv4; empty where it has none.
     * @param string $hostMgmtIp The address of its host in the mesh.
     * @param string $containerId The whole id.
     * @param string $reason "not_running", "unhealthy", "no_address", "unreachable" (no peer of WireGuard has the
     * address) or "host_gone" (its host was not seen for COOLD_HOST_TTL).
     */
    public function __construct(
        public string $address,
        public string $hostMgmtIp,
        public string $containerId,
        public string $reason,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['address'] ?? '',
            $data['host_mgmt_ip'] ?? '',
            $data['container_id'] ?? '',
            $data['reason'] ?? '',
        );
    }
}

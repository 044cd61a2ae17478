<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class DnsAnswer
{
    /**
     * @param string $address IPv4.
     * @param string $hostMgmtIp Empty outside the zone, as the container's id.
     * @param string $containerId Empty outside the zone.
     */
    public function __construct(
        public string $address,
        public string $hostMgmtIp,
        public string $containerId,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['address'] ?? '',
            $data['host_mgmt_ip'] ?? '',
            $data['container_id'] ?? '',
        );
    }
}

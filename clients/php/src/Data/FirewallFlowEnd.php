<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallFlowEnd
{
    /**
     * @param string $address The IPv4 address.
     * @param string $name Empty where no container is known to have the address.
     * @param string $containerId Empty where no container is known to have the address.
     * @param string $namespace Empty where none is known.
     * @param string $hostMgmtIp The host that runs it; empty where that is not known.
     * @param bool $here Whether that is this host.
     */
    public function __construct(
        public string $address,
        public string $name,
        public string $containerId,
        public string $namespace,
        public string $hostMgmtIp,
        public bool $here,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['address'] ?? '',
            $data['name'] ?? '',
            $data['container_id'] ?? '',
            $data['namespace'] ?? '',
            $data['host_mgmt_ip'] ?? '',
            $data['here'] ?? false,
        );
    }
}

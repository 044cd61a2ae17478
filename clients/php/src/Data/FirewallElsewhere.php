<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallElsewhere
{
    /**
     * @param string $hostMgmtIp The address of that host in the mesh; empty where it is not known.
     * @param \Coolify\Coold\Data\FirewallElsewhereCommand|null $command The command for that host, as it is
     * dispatched.
     */
    public function __construct(
        public string $hostMgmtIp,
        public ?\Coolify\Coold\Data\FirewallElsewhereCommand $command,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['host_mgmt_ip'] ?? '',
            isset($data['command']) ? \Coolify\Coold\Data\FirewallElsewhereCommand::from($data['command']) : null,
        );
    }
}

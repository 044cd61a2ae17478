<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class PortMapping
{
    /**
     * @param string $hostIp Every address of the host when empty.
     * @param int $hostPort The port of the host, from 1 to 65535.
     * @param int $containerPort The port in the container, from 1 to 65535.
     * @param string $protocol "tcp" when empty, or "udp".
     */
    public function __construct(
        public string $hostIp,
        public int $hostPort,
        public int $containerPort,
        public string $protocol,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['host_ip'] ?? '',
            $data['host_port'] ?? 0,
            $data['container_port'] ?? 0,
            $data['protocol'] ?? '',
        );
    }
}

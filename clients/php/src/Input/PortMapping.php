<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Input;

final readonly class PortMapping
{
    /**
     * @param int $hostPort The port of the host, from 1 to 65535.
     * @param int $containerPort The port in the container, from 1 to 65535.
     * @param string|null $hostIp Every address of the host when empty.
     * @param 'tcp'|'udp'|null $protocol "tcp" when empty, or "udp".
     */
    public function __construct(
        public int $hostPort,
        public int $containerPort,
        public ?string $hostIp = null,
        public ?string $protocol = null,
    ) {
    }

    /** @return array<string, mixed> what is given, as JSON has it */
    public function fields(): array
    {
        return array_filter([
            'host_ip' => $this->hostIp,
            'host_port' => $this->hostPort,
            'container_port' => $this->containerPort,
            'protocol' => $this->protocol,
        ], static fn (mixed $value): bool => $value !== null);
    }
}

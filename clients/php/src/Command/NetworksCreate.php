<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Creates a network whose subnet collides with nothing.
 * @implements Command<\Coolify\Coold\Data\Network>
 */
final readonly class NetworksCreate implements Command
{
    /**
     * @param string $name The name, which no other network of the host has.
     * @param string|null $namespace A DNS label; its containers are endpoints of that namespace.
     * @param 'bridge'|null $driver "bridge", also when empty.
     * @param string|null $subnet IPv4, for example "10.210.5.0/24"; a free one when empty.
     * @param string|null $gateway Within the subnet; its first address when empty.
     * @param array<string, string>|null $options "mtu", "metric", "vlan" and "isolate", as podman reads them.
     * @param array<string, string>|null $labels Labels by key.
     */
    public function __construct(
        public string $name,
        public ?string $namespace = null,
        public ?string $driver = null,
        public ?string $subnet = null,
        public ?string $gateway = null,
        public ?array $options = null,
        public ?array $labels = null,
    ) {
    }

    public function type(): string
    {
        return 'networks.create';
    }

    public function fields(): array
    {
        return array_filter([
            'name' => $this->name,
            'namespace' => $this->namespace,
            'driver' => $this->driver,
            'subnet' => $this->subnet,
            'gateway' => $this->gateway,
            'options' => $this->options === null ? null : (object) $this->options,
            'labels' => $this->labels === null ? null : (object) $this->labels,
        ], static fn (mixed $value): bool => $value !== null);
    }

    public function deadline(): ?float
    {
        return null;
    }

    public function worksAnew(): bool
    {
        return false;
    }

    public function read(mixed $data): \Coolify\Coold\Data\Network
    {
        return \Coolify\Coold\Data\Network::from($data);
    }
}

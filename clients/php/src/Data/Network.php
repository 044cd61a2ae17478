<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class Network
{
    /**
     * @param string $name The name.
     * @param string $namespace Empty where none was given.
     * @param string $driver The driver, for example "bridge".
     * @param string $subnet Empty where it has none of IPv4.
     * @param string $gateway The address of the host on it; empty where it has none of IPv4.
     * @param array<string, string> $labels Labels by key.
     */
    public function __construct(
        public string $name,
        public string $namespace,
        public string $driver,
        public string $subnet,
        public string $gateway,
        public array $labels,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['name'] ?? '',
            $data['namespace'] ?? '',
            $data['driver'] ?? '',
            $data['subnet'] ?? '',
            $data['gateway'] ?? '',
            $data['labels'] ?? [],
        );
    }
}

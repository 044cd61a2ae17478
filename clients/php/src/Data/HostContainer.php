<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class HostContainer
{
    /**
     * @param string $id The whole id.
     * @param string $name The name.
     * @param string $image The image, as the container was created from it.
     * @param string $state As podman says it, for example "running".
     * @param string $health "unknown" without a healthcheck.
     * @param list<string> $networks Names of its networks.
     * @param array<string, string> $addresses Address by network, of networks where it has one.
     * @param array<string, string> $labels Labels by key.
     */
    public function __construct(
        public string $id,
        public string $name,
        public string $image,
        public string $state,
        public string $health,
        public array $networks,
        public array $addresses,
        public array $labels,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['id'] ?? '',
            $data['name'] ?? '',
            $data['image'] ?? '',
            $data['state'] ?? '',
            $data['health'] ?? '',
            $data['networks'] ?? [],
            $data['addresses'] ?? [],
            $data['labels'] ?? [],
        );
    }
}

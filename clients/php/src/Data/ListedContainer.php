<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class ListedContainer
{
    /**
     * @param string $id The whole id.
     * @param string $name The name.
     * @param string $image The image, as the container was created from it.
     * @param string $imageId The id of the image.
     * @param string $state As podman says it, for example "running".
     * @param string $health "unknown" without a healthcheck.
     * @param int $created Unix time in seconds.
     * @param array<string, string> $labels Labels by key.
     * @param string $namespace Empty where it is on no network of a namespace.
     * @param list<string> $networks Names of its networks.
     * @param array<string, string> $addresses Address by network: what it has, or will have once it runs.
     * @param list<\Coolify\Coold\Data\PortMapping> $ports Ports that it publishes on the host.
     * @param list<string> $aliases The names that it has on its networks beside its own.
     */
    public function __construct(
        public string $id,
        public string $name,
        public string $image,
        public string $imageId,
        public string $state,
        public string $health,
        public int $created,
        public array $labels,
        public string $namespace,
        public array $networks,
        public array $addresses,
        public array $ports,
        public array $aliases,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['id'] ?? '',
            $data['name'] ?? '',
            $data['image'] ?? '',
            $data['image_id'] ?? '',
            $data['state'] ?? '',
            $data['health'] ?? '',
            $data['created'] ?? 0,
            $data['labels'] ?? [],
            $data['namespace'] ?? '',
            $data['networks'] ?? [],
            $data['addresses'] ?? [],
            array_map(\Coolify\Coold\Data\PortMapping::from(...), $data['ports'] ?? []),
            $data['aliases'] ?? [],
        );
    }
}

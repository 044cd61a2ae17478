<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class ContainerSummary
{
    /**
     * @param string $id The whole id.
     * @param string $name Without Podman's leading slash.
     * @param string $image The image, as the container was created from it.
     * @param string $state As podman says it, for example "running".
     * @param list<string> $networks Names of its networks.
     */
    public function __construct(
        public string $id,
        public string $name,
        public string $image,
        public string $state,
        public array $networks,
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
            $data['networks'] ?? [],
        );
    }
}

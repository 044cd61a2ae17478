<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class Volume
{
    /**
     * @param string $name The name.
     * @param string $driver The driver, for example "local".
     * @param string $mountpoint The folder of the host that holds it.
     * @param array<string, string> $labels Labels by key.
     * @param int $createdAt Unix time in seconds.
     */
    public function __construct(
        public string $name,
        public string $driver,
        public string $mountpoint,
        public array $labels,
        public int $createdAt,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['name'] ?? '',
            $data['driver'] ?? '',
            $data['mountpoint'] ?? '',
            $data['labels'] ?? [],
            $data['created_at'] ?? 0,
        );
    }
}

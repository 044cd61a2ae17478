<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class CooldInfo
{
    /**
     * @param string $version The version of coold.
     * @param float $uptimeS Seconds since it was started.
     */
    public function __construct(
        public string $version,
        public float $uptimeS,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['version'] ?? '',
            (float) ($data['uptime_s'] ?? 0),
        );
    }
}

<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

/** Bytes. */
final readonly class MemoryInfo
{
    /**
     * @param int $total All there is.
     * @param int $available What programs can still get.
     */
    public function __construct(
        public int $total,
        public int $available,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['total'] ?? 0,
            $data['available'] ?? 0,
        );
    }
}

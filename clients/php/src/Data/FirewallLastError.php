<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallLastError
{
    /**
     * @param string $message What went wrong.
     * @param string $at RFC 3339.
     */
    public function __construct(
        public string $message,
        public string $at,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['message'] ?? '',
            $data['at'] ?? '',
        );
    }
}

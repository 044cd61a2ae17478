<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class ImagesPullAnswer
{
    /** @param string $digest "sha256:…" of the manifest that was pulled. */
    public function __construct(
        public string $digest,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['digest'] ?? '',
        );
    }
}

<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class BuildFact
{
    /**
     * @param string $requestId The request_id of the build.
     * @param string $state queued, running or finished.
     */
    public function __construct(
        public string $requestId,
        public string $state,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['request_id'] ?? '',
            $data['state'] ?? '',
        );
    }
}

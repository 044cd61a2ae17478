<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class ContainersHealthcheckAnswer
{
    /**
     * @param string $status "healthy", "unhealthy" or "starting".
     * @param int $exitCode How the check ended; 0 is good.
     * @param string $log What the check said.
     */
    public function __construct(
        public string $status,
        public int $exitCode,
        public string $log,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['status'] ?? '',
            $data['exit_code'] ?? 0,
            $data['log'] ?? '',
        );
    }
}

<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class ContainersExecAnswer
{
    /**
     * @param int $exitCode How the program ended.
     * @param string $output Both streams as they came; what is not UTF-8 is replaced.
     * @param bool $truncated What came after was read and dropped.
     */
    public function __construct(
        public int $exitCode,
        public string $output,
        public bool $truncated,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['exit_code'] ?? 0,
            $data['output'] ?? '',
            $data['truncated'] ?? false,
        );
    }
}

<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class LogFrame
{
    /**
     * @param string $stream "stdout" or "stderr".
     * @param string $data What was written.
     * @param string|null $encoding "base64" where the data is not UTF-8; else absent.
     */
    public function __construct(
        public string $stream,
        public string $data,
        public ?string $encoding,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['stream'] ?? '',
            $data['data'] ?? '',
            $data['encoding'] ?? null,
        );
    }
}

<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class CooldLogsAnswer
{
    /**
     * @param list<\Coolify\Coold\Data\LogFrame> $frames Whole lines of stdout, each a JSON object as coold wrote it,
     * or a line of systemd about its unit.
     * @param bool $truncated There was more, newer than this.
     */
    public function __construct(
        public array $frames,
        public bool $truncated,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            array_map(\Coolify\Coold\Data\LogFrame::from(...), $data['frames'] ?? []),
            $data['truncated'] ?? false,
        );
    }
}
